"""Takes from a host what no engine needs while it speaks: programs, the network, other processes.

A host feeds users' text into libraries in C. If one of them is broken into, little is left to do. Standard
library only: a filter for system calls is written as the kernel reads it.
"""

from __future__ import annotations

import ctypes
import platform
import resource
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_GET_ACTION_AVAIL = 2
_FOR_ALL_THREADS = 1
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | 1  # EPERM: a library that only tries goes on without it

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_UNIX = 1


class _Machine(NamedTuple):
    """The numbers of a kind of machine: its own, and those of the system calls."""

    audit: int
    seccomp: int
    socket: int
    always: tuple[int, ...]
    programs: tuple[int, ...]
    network: tuple[int, ...]


_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        seccomp=317,
        socket=41,
        # ptrace, process_vm_readv, process_vm_writev, kcmp, pidfd_getfd, bpf, perf_event_open,
        # io_uring_setup, userfaultfd, mount, umount2, pivot_root, chroot, unshare, setns, init_module,
        # finit_module, kexec_load, keyctl, add_key, request_key, open_by_handle_at, move_mount, fsopen
        always=(
            *(101, 310, 311, 312, 438, 321, 298, 425, 323, 165, 166, 155, 161, 272, 308, 175, 313, 246),
            *(250, 248, 249, 304, 429, 430),
        ),
        programs=(59, 322, 62, 424),  # execve, execveat, kill, pidfd_send_signal
        network=(42,),  # connect
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        seccomp=277,
        socket=198,
        always=(
            *(117, 270, 271, 272, 438, 280, 241, 425, 282, 40, 39, 41, 51, 97, 268, 105, 273, 104),
            *(219, 217, 218, 265, 429, 430),
        ),
        programs=(221, 281, 129, 424),
        network=(203,),
    ),
}


def confine(needs: Iterable[str] = (), memory_mb: int | None = None) -> tuple[str, ...]:
    """Confine this process and its threads. Return what this machine cannot take away."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would have texts and voices in it
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 2**20, memory_mb * 2**20))
    return tuple(_confine_calls(frozenset(needs)))


def forbid_dumps() -> bool:
    """Close this process to the debuggers of its own user, and to core dumps. Return whether that worked."""
    return _prctl(_PR_SET_DUMPABLE, 0)


def has_call_filter() -> bool:
    """Tell whether the kernel can refuse system calls to a process. Changes nothing."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    action = ctypes.c_uint32(_REFUSE & 0xFFFF0000)
    return bool(_libc().syscall(machine.seccomp, _SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0)


def _confine_calls(needs: frozenset[str]) -> Iterator[str]:
    if not forbid_dumps():
        yield "not dumpable"
    if not _prctl(_PR_SET_NO_NEW_PRIVS, 1):
        yield "no_new_privs"
    machine = _MACHINES.get(platform.machine())
    if machine is None or not _install(machine, _program(machine, needs)):
        yield "seccomp"


def _program(machine: _Machine, needs: frozenset[str]) -> bytes:
    """Return the filter: each refused number jumps to the last line, all others are allowed."""
    refused = list(machine.always)
    if "programs" not in needs:
        refused += machine.programs
    if "network" not in needs:
        refused += machine.network
    # Each line is (code, distance if true, distance if false, value).
    lines = [(_LOAD, 0, 0, _ARCH_AT), (_EQUAL, 1, 0, machine.audit), (_RETURN, 0, 0, _REFUSE)]
    lines.append((_LOAD, 0, 0, _NUMBER_AT))
    if machine.audit == _MACHINES["x86_64"].audit:
        # The same calls have a second set of numbers there.
        lines += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _REFUSE)]
    for number in refused:
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    if "network" not in needs:
        # A datagram needs no connect. Sockets of this machine stay: the server's calls come over one.
        lines += [(_EQUAL, 0, 3, machine.socket), (_LOAD, 0, 0, _FIRST_ARGUMENT_AT)]
        lines += [(_EQUAL, 1, 0, _UNIX), (_RETURN, 0, 0, _REFUSE)]
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _install(machine: _Machine, program: bytes) -> bool:
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    flags = ctypes.c_ulong(_FOR_ALL_THREADS)
    done = _libc().syscall(machine.seccomp, _SECCOMP_SET_MODE_FILTER, flags, ctypes.c_char_p(filter_))
    return bool(done == 0)


def _prctl(option: int, value: int) -> bool:
    zero = ctypes.c_ulong(0)
    return bool(_libc().prctl(option, ctypes.c_ulong(value), zero, zero, zero) == 0)


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc
