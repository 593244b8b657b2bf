"""What a request costs a worker and its helpers: processor seconds, memory that stays, the longest commit."""

import gc
import time
from collections.abc import Iterable, Mapping, Sequence

import psutil
import pytest

from proxy.storage import postgres_calls, sqlite_batch, turns

MOST_CPU_S = 5.0
MOST_STAYS_BYTES = 32 * 2**20


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

    def memory(self) -> dict[int, int]:
        """The bytes of this process and its children in memory, by their ids."""
        gc.collect()
        return {each.pid: _resident_bytes(each) for each in (psutil.Process(), *_children())}


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
