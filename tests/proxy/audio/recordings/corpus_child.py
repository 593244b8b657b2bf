"""A confined process that decodes one file after the other, and says what became of each."""

import sys
import time
from pathlib import Path
from typing import BinaryIO

import msgspec

from proxy.audio.recordings.decoding import decode
from proxy.audio.recordings.decoding_child import _confine, warm_up
from proxy.audio.recordings.recording import Decoded
from tests.proxy.audio.recordings.corpus import Outcome

_ALL_FILES_S = 600


def main() -> None:
    # Open to the end, since later nothing more can be opened. getrusage would count the parent, too.
    status = Path("/proc/self/status").open("rb", buffering=0)  # noqa: SIM115 - see above
    warm_up()
    msgspec.json.encode(Outcome("decoded", 0.0, 0))
    _confine(_ALL_FILES_S)
    while head := sys.stdin.buffer.read(4):
        data = sys.stdin.buffer.read(int.from_bytes(head, "big"))
        began, kept_s = time.process_time(), 0.0
        try:
            made = decode(data)
            name = "decoded" if isinstance(made, Decoded) else "undecoded"
            if isinstance(made, Decoded):
                kept_s = len(made.pcm) / made.sample_bytes / made.rate_hz
        except MemoryError:
            name = "out of memory"
        del data
        outcome = {
            "made": name,
            "seconds": time.process_time() - began,
            "peak_mb": _peak_mb(status),
            "kept_s": kept_s,
        }
        sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\n")
        sys.stdout.buffer.flush()


def _peak_mb(status: BinaryIO) -> int:
    status.seek(0)
    (line,) = (line for line in status.read(65536).splitlines() if line.startswith(b"VmHWM:"))
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    main()
