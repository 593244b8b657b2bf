"""Refused requests are counted in memory, and added to the database's sums every few seconds.

So a flood of refusals costs few commits and rows. A killed worker loses its last counts; its log has a line
of every request.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from proxy.access.callers import Caller
from proxy.errors import RequestFailed
from proxy.storage import refusals
from proxy.storage.refusals import RefusalKind
from proxy.storage.store import StorageFailed, Store
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics

EVERY_S = 5.0
MOST = 5000
"""The most kinds of refusals that wait for a write. Others are only in the log."""


class RefusalTotals:
    """The refusals of one worker that are not written yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: Counter[RefusalKind] = Counter()

    def count_refusal(self, caller: Caller, route: str, failure: RequestFailed) -> None:
        """Count a refusal. A request with a charge, or with a row in usage, was not refused."""
        kind = RefusalKind(caller.account, caller.key, route, failure.status, failure.code)
        if kind in self._counts or len(self._counts) < MOST:
            self._counts[kind] += 1

    async def write_totals(self) -> None:
        """Write the counts. If the database is away, they are written later."""
        if not self._counts:
            return
        # The time is read first: a cancellation then loses nothing, and a write that has begun is carried
        # out.
        now = await self._store.now()
        counts, self._counts = self._counts, Counter()
        try:
            await refusals.add(self._store, counts, now)
        except StorageFailed:
            self._counts.update(counts)
            raise


@asynccontextmanager
async def open_refusals(store: Store, metrics: Metrics) -> AsyncIterator[RefusalTotals]:
    """Write the counts every few seconds until the end of the block."""
    totals = RefusalTotals(store)
    writing = RepeatingTask("refusals", totals.write_totals, EVERY_S, metrics)
    try:
        yield totals
    finally:
        await writing.close()
        with suppress(StorageFailed):
            await totals.write_totals()
