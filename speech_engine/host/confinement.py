"""Takes from a process what it does not need: programs, the network, other processes, and files.

A host feeds users' text into libraries in C. If one of them is broken into, little is left to do. Standard
library only: a filter for system calls is written as the kernel reads it. Root can lift limits on open files
again, but not Landlock's rules.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from speech_engine.host.process_rights import forbid_dumps, libc, prctl

_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_GET_ACTION_AVAIL = 2
_FOR_ALL_THREADS = 1
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | 1  # EPERM: a library that only tries goes on without it

_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06  # codes of a filter's lines
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16  # the offsets of a call's parts, which a filter loads
_UNIX, _STREAM, _SOCKET_KIND = 1, 1, 0xF  # AF_UNIX, SOCK_STREAM, and the bits of a socket's type
_SET_OWNER = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: the kernel would send a signal for us
_SET_GROUP = (0x8901, 0x8902)  # FIOSETOWN, SIOCSPGRP: the same for sockets

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_GIVE_VERSION = 1
_FILE_RIGHTS = (1 << 13) - 1
"""The rights of version 1 of the kernel's interface: run, write, read, list, remove and make."""
_READING = 1 << 0 | 1 << 2 | 1 << 3
"""The rights among these that change no file: to run, read and list."""
_REFER, _TRUNCATE, _DEVICES = 1 << 13, 1 << 14, 1 << 15
_NETWORK_RIGHTS = 3
"""From version 4 on: to bind a port, and to connect to one."""

_Line = tuple[int, int, int, int]
"""A code, the distance to jump if true and if false, and a value."""


class _Machine(NamedTuple):
    """A kind of processor: its `audit` number, and its numbers of system calls. Calls in `always` are
    refused; `programs` and `network`, unless the engine needs them; `processes`, if the process is alone."""

    audit: int
    seccomp: int
    sockets: tuple[int, int]
    tgkill: int
    prlimit: int
    fcntl: int
    ioctl: int
    always: tuple[int, ...]
    programs: tuple[int, ...]
    network: tuple[int, ...]
    processes: tuple[int, ...]


_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        seccomp=317,
        sockets=(41, 53),  # socket, socketpair
        tgkill=234,
        prlimit=302,
        fcntl=72,
        ioctl=16,
        # ptrace, process_vm_readv, process_vm_writev, kcmp, pidfd_getfd, bpf, perf_event_open,
        # io_uring_setup, userfaultfd, mount, umount2, pivot_root, chroot, unshare, setns, init_module,
        # finit_module, kexec_load, keyctl, add_key, request_key, open_by_handle_at, move_mount, fsopen
        always=(
            *(101, 310, 311, 312, 438, 321, 298, 425, 323, 165, 166, 155, 161, 272, 308, 175, 313, 246),
            *(250, 248, 249, 304, 429, 430),
        ),
        # execve, execveat, kill, pidfd_send_signal, tkill, rt_sigqueueinfo, rt_tgsigqueueinfo, setpriority,
        # ioprio_set, sched_setparam, sched_setscheduler, sched_setaffinity, sched_setattr, migrate_pages,
        # move_pages, process_madvise, process_mrelease
        programs=(*(59, 322, 62, 424, 200, 129, 297, 141, 251, 142, 144, 203, 314, 256), *(279, 440, 448)),
        network=(42,),  # connect
        processes=(56, 57, 58, 435, 112, 109),  # clone, fork, vfork, clone3, setsid, setpgid
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        seccomp=277,
        sockets=(198, 199),
        tgkill=131,
        prlimit=261,
        fcntl=25,
        ioctl=29,
        always=(
            *(117, 270, 271, 272, 438, 280, 241, 425, 282, 40, 39, 41, 51, 97, 268, 105, 273, 104),
            *(219, 217, 218, 265, 429, 430),
        ),
        programs=(*(221, 281, 129, 424, 130, 138, 240, 140, 30, 118, 119, 122, 274, 238), *(239, 440, 448)),
        network=(203,),
        processes=(220, 435, 157, 154),
    ),
}


def confine(
    needs: Iterable[str] = (), memory_mb: int | None = None, *, is_alone: bool = False
) -> tuple[str, ...]:
    """Confine this process and its threads. Return what this machine cannot take away.

    A process that `is_alone` starts neither processes nor threads, and stays in the group that its parent
    can kill. No limit of the system holds root to that.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a dump would have texts and voices in it
    limit_memory(memory_mb)
    return tuple(_confine_calls(frozenset(needs), is_alone))


def limit_memory(memory_mb: int | None) -> None:
    """Limit the address space of this process for ever, unless that is None."""
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 2**20, memory_mb * 2**20))


def has_call_filter() -> bool:
    """Tell whether the kernel can refuse system calls to a process. Changes nothing."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    action = ctypes.c_uint32(_REFUSE & 0xFFFF0000)
    return bool(libc().syscall(machine.seccomp, _SECCOMP_GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0)


def has_landlock() -> bool:
    """Tell whether the kernel can take files from a process. Changes nothing."""
    return _landlock_version() >= 1


def forbid_files() -> bool:
    """Take the right to open files from this thread and its later threads. Return whether that worked.
    Open files stay open. Call it before there are other threads."""
    version = _landlock_version()
    rights = _FILE_RIGHTS
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _DEVICES)):
        rights |= right if version >= since else 0
    return _restrict(rights, _NETWORK_RIGHTS if version >= 4 else 0)


def forbid_writing() -> bool:
    """Take the right to change files from this thread and its later threads. Return whether that worked.
    Open files stay open, and files can be read."""
    version = _landlock_version()
    rights = _FILE_RIGHTS & ~_READING
    for since, right in ((2, _REFER), (3, _TRUNCATE)):
        rights |= right if version >= since else 0
    return _restrict(rights, 0)


def _restrict(rights: int, network: int) -> bool:
    if _landlock_version() < 1:
        return False
    fields = [rights, network] if network else [rights]
    ruleset = struct.pack(f"={len(fields)}Q", *fields)
    library = libc()
    descriptor = library.syscall(_CREATE_RULESET, ctypes.c_char_p(ruleset), ctypes.c_size_t(len(ruleset)), 0)
    if descriptor < 0:
        return False
    try:
        if not prctl(_PR_SET_NO_NEW_PRIVS, 1):
            return False
        # A ruleset without a single rule allows none of the rights that it handles.
        return bool(library.syscall(_RESTRICT_SELF, ctypes.c_int(descriptor), 0) == 0)
    finally:
        os.close(descriptor)


def _confine_calls(needs: frozenset[str], is_alone: bool) -> Iterator[str]:
    if not forbid_dumps():
        yield "not dumpable"
    if not prctl(_PR_SET_NO_NEW_PRIVS, 1):
        yield "no_new_privs"
    machine = _MACHINES.get(platform.machine())
    if machine is None or not _install(machine, _program(machine, needs, is_alone)):
        yield "seccomp"


def _program(machine: _Machine, needs: frozenset[str], is_alone: bool) -> bytes:
    """Return the filter: some calls are refused, some with certain arguments, all others are allowed."""
    refused = list(machine.always)
    if "programs" not in needs:
        refused += machine.programs
    if "network" not in needs:
        refused += machine.network
    if is_alone:
        refused += machine.processes
    lines: list[_Line] = [(_LOAD, 0, 0, _ARCH_AT), (_EQUAL, 1, 0, machine.audit), (_RETURN, 0, 0, _REFUSE)]
    lines.append((_LOAD, 0, 0, _NUMBER_AT))
    if machine.audit == _MACHINES["x86_64"].audit:
        # The same calls have a second set of numbers there.
        lines += [(_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _REFUSE)]
    for number in refused:
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    if "programs" not in needs:
        # A library may signal its own threads, and read and lower its own limits.
        own = os.getpid()
        lines += _refuse_unless(machine.tgkill, 0, (own,))
        lines += _refuse_unless(machine.prlimit, 0, (0, own))
        lines += _refuse_if(machine.fcntl, 1, _SET_OWNER) + _refuse_if(machine.ioctl, 1, _SET_GROUP)
    if "network" not in needs:
        for number in machine.sockets:
            # Sockets of this machine stay: the server's calls come over one. A datagram needs no connect.
            lines += _refuse_unless(number, 0, (_UNIX,))
            lines += _refuse_unless(number, 1, (_STREAM,), _SOCKET_KIND)
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


def _refuse_if(number: int, argument: int, values: tuple[int, ...]) -> list[_Line]:
    lines = [_load_argument(argument)]
    for value in values:
        lines += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _REFUSE)]
    return _for_call(number, lines)


def _refuse_unless(
    number: int, argument: int, values: tuple[int, ...], mask: int = 0xFFFFFFFF
) -> list[_Line]:
    lines = [_load_argument(argument), (_AND, 0, 0, mask)]
    lines += [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return _for_call(number, [*lines, (_RETURN, 0, 0, _REFUSE)])


def _for_call(number: int, lines: list[_Line]) -> list[_Line]:
    return [(_LOAD, 0, 0, _NUMBER_AT), (_EQUAL, 0, len(lines), number), *lines]


def _load_argument(argument: int) -> _Line:
    """Return the line that loads an argument's low half, which is all that the kernel takes of these."""
    return _LOAD, 0, 0, _ARGUMENTS_AT + 8 * argument


def _install(machine: _Machine, program: bytes) -> bool:
    code = ctypes.create_string_buffer(program, len(program))
    filter_ = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    flags = ctypes.c_ulong(_FOR_ALL_THREADS)
    done = libc().syscall(machine.seccomp, _SECCOMP_SET_MODE_FILTER, flags, ctypes.c_char_p(filter_))
    return bool(done == 0)


def _landlock_version() -> int:
    if platform.machine() not in _MACHINES:
        return 0
    return int(libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _GIVE_VERSION))
