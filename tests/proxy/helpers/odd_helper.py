"""A helper that does what its questions say, and begins as its first message says."""

import os
import signal
import sys

from speech_engine.host.child_pipe import pipe_of_one_thread
from speech_engine.host.pipe import ParentPipe
from speech_engine.host.pipe_messages import Broken, Ready
from speech_engine.host.plugin_messages import BeginPlugin, unpack

BEGINS = "begins"


def main() -> None:
    pipe = pipe_of_one_thread()
    if BEGINS in sys.argv[2:]:
        _begin(pipe)
    while (question := pipe.read()) is not None:
        word, _, rest = question.decode().partition(" ")
        match word:
            case "hang":
                signal.pause()
            case "die":
                os._exit(1)
            case "die_once":
                _die_once(rest)
                pipe.write(b"alive")
            case "large":
                pipe.write(bytes(int(rest)))
            case "priority":
                pipe.write(str(os.getpriority(os.PRIO_PROCESS, 0)).encode())
            case "variables":
                pipe.write(" ".join(sorted(os.environ)).encode())
            case _:
                pipe.write(f"{os.getpid()} {question.decode()}".encode())


def _die_once(noted: str) -> None:
    if not os.path.exists(noted):
        with open(noted, "w"):
            os._exit(1)


def _begin(pipe: ParentPipe) -> None:
    frame = pipe.read()
    begin = None if frame is None else unpack(frame)
    assert isinstance(begin, BeginPlugin)
    match begin.module:
        case "never":
            signal.pause()
        case "dies":
            os._exit(1)
        case "broken":
            pipe.send(Broken("it is torn"))
            signal.pause()
        case "nonsense":
            pipe.write(b"nonsense")
            signal.pause()
    pipe.send(Ready())


if __name__ == "__main__":
    main()
