"""On a tested server's PYTHONPATH: a worker that kills itself, or its supervisor, at a named point.

Nothing in the server knows of it. A file named like the point arms it; whoever removes the file is the one
to strike, so that each file is one kill.
"""

import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FOLDER = Path(os.environ.get("KILL_POINTS", "/nonexistent"))
_WHOM = os.environ.get("KILL_WHOM", "worker")


def _pass(point: str) -> None:
    try:
        (_FOLDER / point).unlink()
    except FileNotFoundError:
        return
    with (_FOLDER / "struck").open("a") as struck:
        struck.write(f"{point} {_WHOM}\n")
    os.kill(os.getppid() if _WHOM == "supervisor" else os.getpid(), signal.SIGKILL)


def _after(point: str, method: Callable[..., Any], applies: Callable[..., bool]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def passing(self: Any, *arguments: Any, **named: Any) -> Any:
        result = await method(self, *arguments, **named)
        if applies(self, *arguments, **named):
            _pass(point)
        return result

    return passing


def _before(point: str, method: Callable[..., Any], applies: Callable[..., bool]) -> Callable[..., Any]:
    @functools.wraps(method)
    async def passing(self: Any, *arguments: Any, **named: Any) -> Any:
        if applies(self, *arguments, **named):
            _pass(point)
        return await method(self, *arguments, **named)

    return passing


def arm() -> None:
    from proxy.features.heard.check import TranscriptCheck
    from proxy.features.heard.checked_parts import PartsOfCall
    from proxy.features.sockets.http.socket import ClientSocket
    from proxy.features.sockets.session import _Listener
    from proxy.features.sockets.utterances.utterance import Utterance
    from proxy.http.connection import Connection
    from proxy.ledger import stored_holds
    from proxy.ledger.hold import Hold
    from proxy.ledger.memory_holds import MemoryHolds
    from proxy.ledger.stored_holds import StoredHolds
    from proxy.queue import tasks

    tasks.LEASE_S = int(os.environ.get("KILL_LEASE_S", tasks.LEASE_S))
    stored_holds.HOLD_S = int(os.environ.get("KILL_HOLD_S", stored_holds.HOLD_S))
    stored_holds.RENEW_S = stored_holds.HOLD_S / 3
    for holds in (MemoryHolds, StoredHolds):
        holds.take_hold = _after("after_hold", holds.take_hold, lambda *_: True)  # type: ignore[method-assign]
    Connection.send = _after(  # type: ignore[method-assign]
        "after_first_byte", Connection.send, lambda _self, _data, more=True: more
    )
    ClientSocket.send = _after(  # type: ignore[method-assign]
        "after_first_frame", ClientSocket.send, lambda _self, data: isinstance(data, bytes)
    )
    _Listener.piece_ended = _after(  # type: ignore[method-assign]
        "between_pieces", _Listener.piece_ended, lambda _self, end: not end.number
    )
    Utterance.interrupt = _after(  # type: ignore[method-assign]
        "after_interruption", Utterance.interrupt, lambda *_: True
    )
    check = _after("after_check", TranscriptCheck.verdict_on, lambda *_: True)
    check = _before("before_check_again", check, lambda _self, made: made.again)
    TranscriptCheck.verdict_on = _before("before_check", check, lambda *_: True)  # type: ignore[method-assign]
    PartsOfCall.start_part = _after(  # type: ignore[method-assign]
        "after_part", PartsOfCall.start_part, lambda _self, run, *_: not run.number
    )
    settle = _before("before_settle", Hold.settle, lambda _self, outcome, _spent: outcome == "finished")
    Hold.settle = _after(  # type: ignore[method-assign]
        "after_settle", settle, lambda _self, outcome, _spent: outcome == "finished"
    )


if "proxy.processes.worker" in sys.orig_argv:
    arm()
