"""Deletes entries after the days of their plan, and those of erased voices that were written during an
erasure."""

from __future__ import annotations

import structlog

from policies.tasks import SECOND_US
from proxy.config.sections import Config
from proxy.features.history.records import HistoryStore
from proxy.features.history.section import SECTION
from proxy.storage.stored_days import StoredDays
from proxy.telemetry.background import repeat
from proxy.telemetry.metrics import Metrics

EVERY_S = 600.0
_OVERLAP_US = 3600 * SECOND_US
"""Each look at erasures reaches back so far before the last one, so that no late commit is missed."""

_log = structlog.get_logger()


def stored_days(config: Config) -> StoredDays:
    """Return how long entries stay. A plan with 0 days stores none."""
    section = SECTION.of(config)
    if not section.account_mb:
        return StoredDays.of(0.0, {})
    return StoredDays.of(section.days, {name: plan.history_days for name, plan in config.plans.items()})


class HistoryRetention:
    """Deletes old entries. Each revision of the configuration sets how long they are `stored`."""

    def __init__(self, store: HistoryStore, metrics: Metrics, stored: StoredDays) -> None:
        self.stored = stored
        self._store = store
        self._metrics = metrics
        # The first look is at all erasures, a later one at those since the look before.
        self._since = 0

    async def run(self) -> None:
        """Look now, and every ten minutes."""
        await repeat("deletion of old history", self.delete_old, EVERY_S, self._metrics, tidies=True)

    async def delete_old(self) -> int:
        """Delete old entries, and those of erased voices. Return their number."""
        now = await self._store.store.now()
        deleted = await self._store.remove_erased(self._since)
        self._since = now - _OVERLAP_US
        deleted += await self._store.remove_old(self.stored)
        if deleted:
            _log.info("history.retention.complete", entries=deleted)
        return deleted
