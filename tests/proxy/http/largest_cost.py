"""What a request costs a worker and its helpers: processor seconds, memory that stays, the longest commit."""

import ctypes
import gc
import json
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import psutil
import pytest

from proxy.storage import postgres_calls, sqlite_batch, turns

MOST_CPU_S = 5.0
"""Processor seconds of a machine whose `slowness` is 1."""
_USUAL_S = 0.11
"""What `slowness` measures on such a machine while nothing else runs there."""
MOST_STAYS_BYTES = 32 * 2**20


def slowness() -> float:
    """Return how many times longer a fixed work takes now: neighbours share the processor's caches."""
    began = time.thread_time()
    for _ in range(4000):
        " ".join(each.lower() for each in re.findall(r"\w+", "A word, and another one. " * 40))
    return max(1.0, (time.thread_time() - began) / _USUAL_S)


class Felt(NamedTuple):
    """What was felt while a request was answered."""

    status: int
    said: bytes
    holds: tuple[str, ...]
    long_commits: tuple[str, ...]
    large_commits: tuple[str, ...]
    units: int
    neighbours: int
    longest_hold_s: float
    longest_commit_s: float
    cpu_s: float
    stays_bytes: int

    def figures(self) -> str:
        """The longest hold and commit in milliseconds, the processor seconds, and the MiB that stay."""
        times = f"{self.longest_hold_s * 1000:.0f} | {self.longest_commit_s * 1000:.0f} | {self.cpu_s:.2f}"
        return f"{times} | {self.stays_bytes / 2**20:.0f}"

    @property
    def code(self) -> str:
        """The code of a refusal, or ""."""
        return str(json.loads(self.said)["error"]["code"]) if self.status >= 400 else ""


class Meter:
    """Counts what this process and its children use. Its user sets `longest_commit_s` back to 0."""

    def __init__(self, patches: pytest.MonkeyPatch) -> None:
        self.longest_commit_s = 0.0

        def note(statements: Iterable[str], laps: Sequence[float], most_s: float, rows: int = 0) -> None:
            self.longest_commit_s = max(self.longest_commit_s, laps[-1] - laps[0])
            turns.log_if_long(statements, laps, most_s, rows)

        for module in (sqlite_batch, postgres_calls):
            if hasattr(module, "log_if_long"):
                patches.setattr(module, "log_if_long", note)

    def cpu_s(self) -> float:
        """The processor seconds of this process, and of its children, also of those that have ended."""
        ended = psutil.Process().cpu_times()
        ended_s: float = ended.children_user + ended.children_system
        return time.process_time() + ended_s + sum(map(_used_s, _children()))

    def memory(self, *, is_collected: bool = True) -> dict[int, int]:
        """The bytes of this process and its children in memory, by their ids. What this process has freed and
        its allocator still has for the next request is not counted: it is bounded by what is held at once."""
        if is_collected:
            gc.collect()
        _give_back_freed()
        return {each.pid: _resident_bytes(each) for each in (psutil.Process(), *_children())}


class _MallInfo(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in "abcdefghij")


def in_use_bytes() -> int:
    """Return about how many bytes this process has allocated, without those that an allocator keeps free: the
    bytes of `malloc`, and a hundred for each object of Python's own allocator. 0 without glibc."""
    if not hasattr(_libc(), "mallinfo2"):
        return 0
    _libc().mallinfo2.restype = _MallInfo
    info = _libc().mallinfo2()
    return int(info.e + info.h) + 100 * sys.getallocatedblocks()  # hblkhd, uordblks


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _give_back_freed() -> None:
    if hasattr(_libc(), "malloc_trim"):  # of glibc
        _libc().malloc_trim(0)


def grown_bytes(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    """By how much those that were there before have grown: a newer helper ends when it is idle."""
    return sum(after[each] - before[each] for each in before.keys() & after.keys())


def _children() -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process().children(recursive=True)
    return found


def _used_s(process: psutil.Process) -> float:
    try:
        used = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(used.user + used.system + used.children_user + used.children_system)


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
