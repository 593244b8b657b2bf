"""The counts of refused requests, which are added to those of the database every few seconds.

So a flood of refusals costs few commits and rows. A killed worker loses its last counts, but its log has a
line for each request.
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
from proxy.storage.turns import MOST_ROWS
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics

WRITE_EVERY_S = 5.0
MOST_KINDS = 5000
"""The most kinds of refusals that are counted between two writes. Further kinds are only in the log."""


class RefusalTotals:
    """The refusals of one worker that are not written yet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counts: Counter[RefusalKind] = Counter()

    def count_refusal(self, caller: Caller, route: str, failure: RequestFailed) -> None:
        """Count a refusal. A request that has a charge or a row in usage must not be counted."""
        kind = RefusalKind(caller.account, caller.key, route, failure.status, failure.code)
        if kind in self._counts or len(self._counts) < MOST_KINDS:
            self._counts[kind] += 1

    async def write_totals(self) -> None:
        """Write the counts, `MOST_ROWS` in a commit. If the database is away, the rest is written later."""
        if not self._counts:
            return
        # Counts are taken when their write begins: it is carried out even if this call is cancelled.
        now, kinds = await self._store.now(), sorted(self._counts)
        for first in range(0, len(kinds), MOST_ROWS):
            counts = {kind: self._counts.pop(kind) for kind in kinds[first : first + MOST_ROWS]}
            try:
                await refusals.add(self._store, counts, now)
            except StorageFailed:
                self._counts.update(counts)
                raise


@asynccontextmanager
async def open_refusals(store: Store, metrics: Metrics) -> AsyncIterator[RefusalTotals]:
    """Write the counts every few seconds until the end of the block."""
    totals = RefusalTotals(store)
    writing = RepeatingTask("refusals", totals.write_totals, WRITE_EVERY_S, metrics)
    try:
        yield totals
    finally:
        await writing.aclose()
        with suppress(StorageFailed):
            await totals.write_totals()
