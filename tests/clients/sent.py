"""What LiveKit and Pipecat send over the sockets of ElevenLabs, as it was recorded.

`make test` sends it again in their place, and `make slow` compares it with what they send. To renew it:
`.venv/bin/python -m tests.clients.sent`.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server as Listener
from websockets.sync.server import ServerConnection, serve

from tests.clients.runs import AGENTS, Programs, programs_of
from tests.server import Server, running

SCENES = ("speaks_once", "fails")
CONFIG = """
[server]
default_model = "tone"
[engines.tone]
[models]
"tone" = ["tone/standard"]
"tts-1" = ["tone/standard"]
[voices.alloy]
tone = "tone"
"""
_FILE = Path(__file__).with_suffix(".json")
_WAIT_S = 30.0

Dial = dict[str, Any]
"""The `path` of a socket, and the `messages` that the client sent. The names of contexts are c0, c1, …"""


def recorded() -> dict[str, dict[str, list[Dial]]]:
    """Return the dials by client and scene."""
    found: dict[str, dict[str, list[Dial]]] = json.loads(_FILE.read_text())
    return found


def send_again(server: Server, dial: Dial) -> dict[str, list[dict[str, Any]]]:
    """Send the messages of a dial, and wait at the end of each context. Return the answers by context."""
    answers: dict[str, list[dict[str, Any]]] = {}
    with _dialled(server, dial["path"], server.key) as socket:
        for message in dial["messages"]:
            socket.send(json.dumps(message))
            if "close_context" in message:
                while not any(map(_is_last, answers.get(message["context_id"], ()))):
                    answer = json.loads(socket.recv(_WAIT_S))
                    answers.setdefault(answer["contextId"], []).append(answer)
    return answers


def _is_last(answer: dict[str, Any]) -> bool:
    return "error" in answer or bool(answer["isFinal"])


def seen_of(server: Server, programs: Programs, client: str, scene: str) -> list[Dial]:
    """Let a client do a scene, and return what it sent. Raises Absent."""
    with _listening(server) as (url, dials):
        program = programs.of(client)
        program.begin(scene, url, server.key)
        program.end()
    return _named(dials)


@contextmanager
def _listening(server: Server) -> Iterator[tuple[str, list[Dial]]]:
    dials: list[Dial] = []

    def relay(client: ServerConnection) -> None:
        assert client.request is not None
        dial: Dial = {"path": client.request.path, "messages": []}
        dials.append(dial)
        with _dialled(server, dial["path"], client.request.headers["xi-api-key"]) as there:
            Thread(target=_pass_on, args=(there, client), daemon=True).start()
            with suppress(ConnectionClosed):
                for message in client:
                    dial["messages"].append(json.loads(message))
                    there.send(message)

    listener: Listener = serve(relay, "127.0.0.1", 0)
    thread = Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}", dials
    finally:
        listener.shutdown()
        thread.join()


def _pass_on(there: ClientConnection, client: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        for message in there:
            client.send(message)
    client.close()


def _dialled(server: Server, path: str, key: str) -> ClientConnection:
    root = server.url.replace("http://", "ws://")
    return connect(f"{root}{path}", additional_headers={"xi-api-key": key}, proxy=None)


def _named(dials: list[Dial]) -> list[Dial]:
    """The same without what is new in each run: the names of contexts, and keys."""
    names: dict[str, str] = {}
    for dial in dials:
        parts = urlsplit(dial["path"])
        dial["path"] = f"{parts.path}?{urlencode(sorted(parse_qsl(parts.query)))}"
        for message in dial["messages"]:
            if "context_id" in message:
                message["context_id"] = names.setdefault(message["context_id"], f"c{len(names)}")
            if "xi_api_key" in message:
                message["xi_api_key"] = "KEY"
    return dials


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), CONFIG) as server:
        with programs_of(Path(folder), server, AGENTS) as programs:
            found = {
                client: {scene: seen_of(server, programs, client, scene) for scene in SCENES}
                for client in AGENTS
            }
    _FILE.write_text(f"{json.dumps(found, indent=1)}\n")


if __name__ == "__main__":
    main()
