"""A process that dies as its question says: of a signal by its name, or with a status. It notes each life."""

import os
import signal
import sys

import msgspec

from proxy.audio.recordings.recording import Undecoded
from speech_engine.host.child_pipe import pipe_of_one_thread


def main() -> None:
    pipe = pipe_of_one_thread()
    name, _, noted = (pipe.read() or b"").decode().partition(" ")
    with open(noted, "a") as lives:
        lives.write("x")
    if name in signal.Signals.__members__:
        os.kill(os.getpid(), signal.Signals[name])
    if name.isdigit():
        sys.exit(int(name))
    pipe.write(b"nonsense" if name == "nonsense" else msgspec.msgpack.encode(Undecoded("empty")))


if __name__ == "__main__":
    main()
