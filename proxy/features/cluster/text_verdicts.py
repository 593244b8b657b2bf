"""The texts that may have killed hosts, as rows that all gateways of a database share, on PostgreSQL alone.

A row has a digest under a key that is derived from the master key. It names no account, no voice and no text,
so erasures leave it. It ends within minutes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager, suppress

from policies.host_health import QUARANTINE_S, SUSPECT_S
from policies.tasks import SECOND_US
from proxy.feature import AppContext
from proxy.features.cluster.machines import NOW_SQL
from proxy.file_store.vault import Vault
from proxy.hosts.cluster.cluster_suspects import ClusterSuspects, TextNews
from proxy.storage.store import Statement, StorageFailed, Store
from proxy.storage.tables import Table
from proxy.telemetry.background import RepeatingTask

TABLE = Table("text_verdicts", key=("engine", "text_digest"))

EXCHANGE_EVERY_S = 1.0
_LASTS_S = {"alone": SUSPECT_S, "refused": QUARANTINE_S}
_LIST = f"SELECT *, ends - {NOW_SQL} AS left_us FROM text_verdicts ORDER BY ends DESC LIMIT 2000"
_FORGET = f"DELETE FROM text_verdicts WHERE ends <= {NOW_SQL}"
_FORGET_ALONE = (
    "DELETE FROM text_verdicts WHERE engine = :engine AND text_digest = :digest AND kind = 'alone'"
)
# As in `SuspectTexts`: if a text ran alone at its second death, the text is to blame.
_IS_REFUSED = f"known.ends > {NOW_SQL} AND (known.kind = 'refused' OR :only = 1)"
_PUT = f"""
INSERT INTO text_verdicts AS known (engine, text_digest, kind, ends)
VALUES (:engine, :digest, :kind, {NOW_SQL} + CAST(:lasts AS BIGINT))
ON CONFLICT (engine, text_digest) DO UPDATE
SET kind = CASE WHEN {_IS_REFUSED} THEN 'refused' ELSE excluded.kind END,
    ends = CASE WHEN {_IS_REFUSED} THEN {NOW_SQL} + {round(QUARANTINE_S * SECOND_US)} ELSE excluded.ends END
"""


@asynccontextmanager
async def sharing_verdicts(context: AppContext) -> AsyncIterator[None]:
    """Share the verdicts of this worker's engines that have a cluster, until the end of the block."""
    suspects = _cluster_suspects(context)
    masters = context.find(Vault).masters.read_if_any() if suspects else None
    if masters is None:
        yield
        return
    exchange = VerdictExchange(context.store, suspects, masters.newest.texts)
    task = RepeatingTask("verdicts on texts", exchange.wait_and_exchange, 0.0, context.metrics)
    async with aclosing(task):
        yield


def _cluster_suspects(context: AppContext) -> dict[str, ClusterSuspects]:
    """Return what is known of deadly texts, for each engine that has a cluster."""
    if context.engines is None or not context.config_at_start.used_clusters:
        return {}
    from proxy.hosts.hosted import HostedEngine

    hosted = {name: each for name, each in context.engines.items() if isinstance(each, HostedEngine)}
    return {name: each.suspects for name, each in hosted.items() if each.suspects is not None}


class VerdictExchange:
    """Exchanges the verdicts on texts of each engine: once a second, and at once when a process has died."""

    def __init__(self, store: Store, suspects: Mapping[str, ClusterSuspects], key: bytes) -> None:
        self._store = store
        self._suspects = suspects
        self._is_due = asyncio.Event()
        for each in suspects.values():
            each.share(key, self._is_due)

    async def wait_and_exchange(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(EXCHANGE_EVERY_S):
                await self._is_due.wait()
        self._is_due.clear()
        await self.exchange()

    async def exchange(self) -> None:
        """Write the news of this worker, and read the verdicts of all gateways. Raises StorageFailed."""
        for engine, suspects in self._suspects.items():
            news, suspects.news = suspects.news, []
            try:
                if news:
                    # All gateways write the rows in one order, so that two of them cannot deadlock.
                    news.sort(key=lambda each: each.digest)
                    await self._store.write(*(_change(engine, each) for each in news))
            except StorageFailed:
                # The commit may have happened, and a death must not count twice.
                suspects.news[:0] = [each._replace(is_only=False) for each in news]
                raise
        read_at = time.monotonic()
        rows = await self._store.read(_LIST)
        for engine, suspects in self._suspects.items():
            suspects.adopt(
                [
                    (
                        bytes.fromhex(row["text_digest"]),
                        row["kind"] == "refused",
                        read_at + row["left_us"] / SECOND_US,
                    )
                    for row in reversed(rows)
                    if row["engine"] == engine
                ],
                read_at,
            )
        if any(row["left_us"] <= 0 for row in rows):
            await self._store.write(Statement(_FORGET))


def _change(engine: str, news: TextNews) -> Statement:
    row_key = {"engine": engine, "digest": news.digest.hex()}
    if news.kind == "whole":
        return Statement(_FORGET_ALONE, row_key)
    lasts = round(_LASTS_S[news.kind] * SECOND_US)
    return Statement(_PUT, {**row_key, "kind": news.kind, "lasts": lasts, "only": int(news.is_only)})
