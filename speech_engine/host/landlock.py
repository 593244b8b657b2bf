"""Takes all files from a process: it may no longer open, make, move or remove any, whoever its user is.

Limits on open files can be lifted again by root; this cannot. Standard library only, as `confinement` is.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_GIVE_VERSION = 1
_PR_SET_NO_NEW_PRIVS = 38
_MACHINES = ("x86_64", "aarch64")

_FILE_RIGHTS = (1 << 13) - 1
"""What version 1 of the kernel's interface knows: run, write, read, list, remove and make."""
_REFER, _TRUNCATE, _DEVICES = 1 << 13, 1 << 14, 1 << 15
_NETWORK_RIGHTS = 3
"""From version 4 on: to bind a port, and to connect to one."""


def has_landlock() -> bool:
    """Tell whether the kernel can take files from a process. Changes nothing."""
    return _version() >= 1


def forbid_files() -> bool:
    """Take all files from this thread and from what it starts. Return whether that worked.

    What is open stays open. Call it before there are other threads.
    """
    version = _version()
    if version < 1:
        return False
    rights = _FILE_RIGHTS
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _DEVICES)):
        rights |= right if version >= since else 0
    fields = [rights] + ([_NETWORK_RIGHTS] if version >= 4 else [])
    ruleset = struct.pack(f"={len(fields)}Q", *fields)
    libc = _libc()
    descriptor = libc.syscall(_CREATE_RULESET, ctypes.c_char_p(ruleset), ctypes.c_size_t(len(ruleset)), 0)
    if descriptor < 0:
        return False
    try:
        zero = ctypes.c_ulong(0)
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero) != 0:
            return False
        # A ruleset without a single rule allows none of the rights that it handles.
        return bool(libc.syscall(_RESTRICT_SELF, ctypes.c_int(descriptor), 0) == 0)
    finally:
        os.close(descriptor)


def _version() -> int:
    if platform.machine() not in _MACHINES:
        return 0
    return int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _GIVE_VERSION))


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc
