"""Confines a process that reads a stranger's file: no files, programs, network, processes or threads."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from speech_engine.host.confinement import confine, forbid_files


def confine_job(
    most_cpu_s: int | None, memory_mb: int, *, most_file_bytes: int = 0, is_alone: bool = True
) -> tuple[str, ...]:
    """Confine this process for ever. It keeps what is open, and `memory_mb` beyond what it has now.

    Return what this machine cannot take away.
    """
    most_mb = used_mb() + memory_mb
    files = ("landlock",) if not forbid_files() else ()
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_file_bytes, most_file_bytes))
    if most_cpu_s is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (most_cpu_s, most_cpu_s + 1))
    # Neither processes nor threads. Root is not bound by this; the filter for system calls binds root too.
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    # No file that would be opened gets a number: 0, 1 and 2 are taken.
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return (*files, *confine((), most_mb, is_alone=is_alone))


def used_mb() -> int:
    """Return the address space that this process has, 0 where the system does not say."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    return pages * resource.getpagesize() // 2**20
