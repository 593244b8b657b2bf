"""What a process gives up, or asks of the kernel, in one call."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends."""
    if sys.platform == "linux":
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def forbid_dumps() -> bool:
    """Close this process to the debuggers of its own user, and to core dumps. Return whether that worked."""
    return prctl(_PR_SET_DUMPABLE, 0)


def prctl(option: int, value: int) -> bool:
    """Set an option of this process or thread. Return whether that worked."""
    zero = ctypes.c_ulong(0)
    return bool(libc().prctl(option, ctypes.c_ulong(value), zero, zero, zero) == 0)


def libc() -> ctypes.CDLL:
    """Return the C library, whose `syscall` returns a long."""
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library
