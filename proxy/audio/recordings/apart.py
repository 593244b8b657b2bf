"""Take a child process's answer about an uploaded recording; after a failure, decide whether the file or the
machine is at fault.

A file that crashes its process, or uses up its processor time, is refused. A process may also end or be late
because the machine is overloaded. Then the file is not refused.
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

MOST_TRIES = 2
"""The most tries of a file whose process died."""
_CRASH_STATUSES = {
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


async def read_apart(answer: Awaitable[bytes], parse: Callable[[bytes], _T | Undecoded]) -> _T:
    """Await the `answer` of a process about a file, and return it as `parse` decodes and validates it.

    Raises UnusableRecording if the file is at fault, and DecodingFailed otherwise.
    """
    try:
        made = parse(await answer)
    except msgspec.MsgspecError:
        made = Undecoded("lost")
    except TimeoutError:
        # A bad file would have used up its processor time long before, so the machine is at fault.
        raise _failed("late") from None
    except HelperFailed as failed:
        if failed.cause == "refused":
            raise _failed("start") from None
        if failed.cause == "died" and not failed.has_used_its_time and failed.status not in _CRASH_STATUSES:
            raise _failed("end") from None
        made = Undecoded("time" if failed.has_used_its_time else "lost")
    if isinstance(made, Undecoded):
        raise UnusableRecording.of(made.fault)
    return made


def _failed(what: str) -> DecodingFailed:
    _log.warning("decoder.child.failed", what=what)
    return DecodingFailed()
