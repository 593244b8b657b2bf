"""A program that moto's environment runs: `python moto_program.py PORT [RECORDING]`, an S3 server.

With a file for a recording, it has its objects again after it was killed: before it listens, it sends itself
what the file says. Multipart uploads are not in it.
"""

import base64
import json
import os
import re
import sys
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    from moto.moto_api import recorder
    from moto.server import ThreadedMotoServer

    port, *recordings = sys.argv[1:]
    threading.Thread(target=_end_with_input, daemon=True).start()
    if recordings:
        file = Path(recordings[0])
        recorder._location = str(file)
        file.touch()
        compact(file)
        before = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        before.start()
        host, free = before.get_host_and_port()
        recorder.replay_recording(f"http://{host}:{free}")
        before.stop()
        note, lock = recorder._record_request, threading.Lock()

        def note_in_turn(request: Any, body: bytes | None = None) -> None:
            """Note what changes something. Two long lines at once would be mixed."""
            if request.method in ("PUT", "POST", "DELETE"):
                with lock:
                    note(request, body)

        recorder._record_request = note_in_turn
        recorder.start_recording()
    ThreadedMotoServer("127.0.0.1", int(port), verbose=False).start()
    threading.Event().wait()


def compact(file: Path) -> None:
    """Keep the requests that made what is still there. A kill may have cut off the last line."""
    made: dict[str, Any] = {}
    for line in file.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            continue
        request = json.loads(line)
        path = urlsplit(request["url"]).path
        if request["method"] == "PUT":
            made[path] = line
        elif request["method"] == "DELETE":
            made.pop(path, None)
        elif request["method"] == "POST":
            for key in re.findall("<Key>(.*?)</Key>", _text(request)):
                made.pop(f"{path.rstrip('/')}/{key}", None)
    file.write_text("".join(made.values()))


def _text(request: dict[str, Any]) -> str:
    body: str = request["body"]
    return base64.b64decode(body).decode() if request["body_encoded"] else body


if __name__ == "__main__":
    main()
