"""Run a child process on a stranger's recording, and decide whether the file or the machine failed.

A file that keeps its process busy, or ends it, is refused. But a process may also end, or be late, because
the machine is overloaded: then a good file must not be refused.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import structlog

from proxy.audio.recordings.recording import Undecoded, UnusableRecording
from proxy.errors import DecodingFailed
from proxy.helpers.helper import HelperFailed

TRIES_OF_FILE = 2
"""The tries of a file whose process died."""
_BY_FILE = {
    -number
    for number in (
        *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL),
        *(signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS),
    )
}
"""The signals of a decoder's own crash. Other signals, such as the kernel's kill for memory, come from
outside."""

_T = TypeVar("_T")
_log = structlog.get_logger()


async def read_apart(asked: Awaitable[bytes], checked: Callable[[bytes], _T | Undecoded]) -> _T:
    """Return the answer of a process that is `asked` about a file. `checked` decodes and validates it.

    Raises UnusableRecording if the file is to blame, and DecodingFailed otherwise.
    """
    try:
        made = checked(await asked)
    except msgspec.MsgspecError:
        made = Undecoded("lost")
    except TimeoutError:
        # A bad file meets its limit of processor time long before, so this is the machine's fault.
        raise _failed("late") from None
    except HelperFailed as failed:
        if failed.cause == "refused":
            raise _failed("start") from None
        if failed.cause == "died" and not failed.has_used_its_time and failed.status not in _BY_FILE:
            raise _failed("end") from None
        made = Undecoded("time" if failed.has_used_its_time else "lost")
    if isinstance(made, Undecoded):
        raise UnusableRecording.of(made.fault)
    return made


def _failed(what: str) -> DecodingFailed:
    _log.warning("decoder.child.failed", cause=what)
    return DecodingFailed()
