"""The deletion of old usage and of old counts of refusals, in batches, so that no write waits long.

Entries and the audit are never deleted, since they are the books.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from proxy.storage import refusals, usage
from proxy.storage.store import Store
from proxy.telemetry.background import repeat
from proxy.telemetry.metrics import Metrics

BATCH_REQUESTS = 100
"""The requests of one commit. Each may have rows in several tables."""
EVERY_S = 3600.0
REFUSAL_DAYS = 90
"""The days for which sums of refused requests stay, if usage stays for good."""
_DAY_US = 86_400_000_000

_log = structlog.get_logger()


async def delete_old_usage(
    store: Store, days: Callable[[], int], metrics: Metrics, every_s: float = EVERY_S
) -> None:
    """Delete old usage now and every hour. `days` returns how many days it stays, at each turn. If it
    returns 0, only counts of refusals are deleted."""

    async def turn() -> None:
        now = await store.now()
        if days() > 0:
            await _delete_older(store, now - days() * _DAY_US)
        await refusals.delete(store, now - (days() or REFUSAL_DAYS) * _DAY_US)

    await repeat("deletion of old usage", turn, every_s, metrics, tidies=True)


async def _delete_older(store: Store, moment: int) -> None:
    deleted = {"usage": 0, "costs": 0}
    is_done = False
    while not is_done:
        rows, costs = await usage.delete_oldest(store, moment, BATCH_REQUESTS)
        deleted["usage"] += rows
        deleted["costs"] += costs
        is_done = rows < BATCH_REQUESTS
    if any(deleted.values()):
        _log.info("usage.delete.complete", **deleted)
