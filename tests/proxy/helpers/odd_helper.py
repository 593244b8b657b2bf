"""A helper that does what its questions say, and begins as its first message says."""

import os
import signal
import sys

from speech_engine.host.pipe import ParentPipe, pipe_of_one_thread
from speech_engine.host.pipe_messages import BeginPlugin, Broken, Ready

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
                if not os.path.exists(rest):
                    with open(rest, "w"):
                        os._exit(1)
                pipe.write(b"alive")
            case "large":
                pipe.write(bytes(int(rest)))
            case "priority":
                pipe.write(str(os.getpriority(os.PRIO_PROCESS, 0)).encode())
            case "variables":
                pipe.write(" ".join(sorted(os.environ)).encode())
            case _:
                pipe.write(f"{os.getpid()} {question.decode()}".encode())


def _begin(pipe: ParentPipe) -> None:
    begin = pipe.receive()
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
