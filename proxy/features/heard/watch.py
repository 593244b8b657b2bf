"""Counts the parts that were heard, for a metric and for the alert when too many were not."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import msgspec
from prometheus_client import CollectorRegistry, Counter

from policies.alerts import Trouble, unchecked_troubles
from proxy.speech_steps.check_totals import PartVerdict

LATE, FAILED = "late", "failed"
"""Why a recogniser of the language has not heard a part."""
_WINDOW_S = 600.0
_BUCKET_S = 30.0


class _Bucket(msgspec.Struct):
    """The parts of `_BUCKET_S` seconds, and those of them that were not heard."""

    began: float
    parts: int = 0
    missed: int = 0


class CheckWatch:
    """Counts the verdicts of a worker: all of them, and those of the last ten minutes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._parts = Counter(
            "voxgate_check_parts",
            "Parts that were to be heard, by what came of it.",
            ["result"],
            registry=registry,
        )
        self._buckets: deque[_Bucket] = deque()

    def note_result(self, verdict: PartVerdict) -> None:
        self._parts.labels(verdict.result).inc()
        is_missed = verdict.why in (LATE, FAILED)
        if verdict.result == "unchecked" and not is_missed:
            return
        now = asyncio.get_running_loop().time()
        if not self._buckets or now - self._buckets[-1].began >= _BUCKET_S:
            self._buckets.append(_Bucket(now))
        self._buckets[-1].parts += 1
        self._buckets[-1].missed += is_missed
        self._drop_old_buckets(now)

    async def troubles(self) -> Sequence[Trouble]:
        self._drop_old_buckets(asyncio.get_running_loop().time())
        parts = sum(bucket.parts for bucket in self._buckets)
        missed = sum(bucket.missed for bucket in self._buckets)
        return [*unchecked_troubles(missed, parts)]

    def _drop_old_buckets(self, now: float) -> None:
        while self._buckets and now - self._buckets[0].began > _WINDOW_S:
            self._buckets.popleft()
