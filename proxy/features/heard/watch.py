"""How many parts were heard, and the alert when too many were not."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter

from policies.alerts import Trouble, unchecked_troubles
from proxy.speech.part_check import PartVerdict

LATE, FAILED = "late", "failed"
"""Why ears that hear the language have not heard a part."""
_WINDOW_S = 600.0
_BUCKET_S = 30.0


class CheckWatch:
    """Counts the verdicts of a worker: all of them, and those of the last ten minutes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._parts = Counter(
            "voxgate_check_parts",
            "Parts that were to be heard, by what came of it.",
            ["result"],
            registry=registry,
        )
        # Each has its beginning, its parts, and those that were not heard.
        self._buckets: deque[list[float]] = deque()

    def note_result(self, verdict: PartVerdict) -> None:
        self._parts.labels(verdict.result).inc()
        is_missed = verdict.why in (LATE, FAILED)
        if verdict.result == "unchecked" and not is_missed:
            return
        now = asyncio.get_running_loop().time()
        if not self._buckets or now - self._buckets[-1][0] >= _BUCKET_S:
            self._buckets.append([now, 0, 0])
        self._buckets[-1][1] += 1
        self._buckets[-1][2] += is_missed
        self._forget(now)

    async def troubles(self) -> Sequence[Trouble]:
        self._forget(asyncio.get_running_loop().time())
        parts, missed = (int(sum(bucket[at] for bucket in self._buckets)) for at in (1, 2))
        return [*unchecked_troubles(missed, parts)]

    def _forget(self, now: float) -> None:
        while self._buckets and now - self._buckets[0][0] > _WINDOW_S:
            self._buckets.popleft()
