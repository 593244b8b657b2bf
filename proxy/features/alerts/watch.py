"""The search for trouble, every 30 seconds on worker 0 of each machine. It reads what others have measured,
and measures only the free room on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, runtime_checkable

import structlog

from policies import alerts
from policies.alerts import TITLES, Alert, AlertChange, Trouble
from proxy.catalogue.cluster import ClusterView
from proxy.engines.engine_list import Engines
from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.source import LiveEngine
from proxy.features.alerts import records
from proxy.features.alerts.section import AlertSection
from proxy.features.mail.mails import Mails
from proxy.features.mail.records import Letter
from proxy.ledger.budgets import Budgets
from proxy.storage.store import ALWAYS, Condition, Statement, Store
from proxy.telemetry.background import repeat
from proxy.telemetry.machine import disk_room
from proxy.telemetry.metrics import Metrics

LOOK_EVERY_S = 30.0
_UNSETTLED = ("starting", "restarting", "installing")
"""An engine in these states may still have the trouble that it had, so its alerts do not end."""

_log = structlog.get_logger()


@runtime_checkable
class HasTroubles(Protocol):
    """An object that another feature shares, such as the store of orders, which knows those that need
    attention."""

    async def troubles(self) -> Sequence[Trouble]: ...


class Watch:
    """The alerts of a machine, and those of the whole cluster if it leads. `sources` are features that have
    troubles. `budgets` are those of the latest revision."""

    def __init__(
        self,
        store: Store,
        mails: Mails,
        engines: Engines,
        data: Path,
        sources: Sequence[HasTroubles],
        cluster: ClusterView,
    ) -> None:
        self.section = AlertSection()
        self.budgets: Budgets | None = None
        self._store = store
        self._mails = mails
        self._engines = engines
        self._data = data
        self._sources = sources
        self._cluster = cluster

    async def run(self, metrics: Metrics) -> None:
        await repeat("alerts", self.look_once, LOOK_EVERY_S, metrics)

    async def look_once(self) -> None:
        """Look once. Changed alerts and their mails are one commit."""
        troubles = await self.troubles()
        known = [each for each in await records.list_all(self._store) if self._is_ours(each.machine)]
        now = await self._store.now()
        statements: list[Statement] = []
        starting = {name for name, engine in self._engines.items() if engine.state in _UNSETTLED}
        for change in alerts.alert_changes(known, troubles, now, starting):
            statements += [*await self._mail(change, now), records.change_statement(change)]
        if statements:
            await self._store.write(*statements)
            self._mails.look_now()

    async def troubles(self) -> list[Trouble]:
        """Return all troubles of this machine, and those of the cluster if it leads."""
        found = [each for name, engine in self._engines.items() for each in _engine_troubles(name, engine)]
        found += alerts.disk_troubles(*await asyncio.to_thread(disk_room, self._data))
        found = [each._replace(machine=self._cluster.machine) for each in found]
        if not self._cluster.leads:
            return found
        if self.budgets is not None:
            for name, _ in self._engines.items():
                for spend in await self.budgets.read_spends(name):
                    found += alerts.budget_troubles(name, spend.period, spend.usd, spend.of_usd)
        for other in self._sources:
            found += await other.troubles()
        return found

    def _is_ours(self, machine: str) -> bool:
        """Tell whether this machine ends an alert. The leader ends those of machines that are gone."""
        cluster = self._cluster
        if machine == cluster.machine and machine:
            return True
        return cluster.leads and machine not in cluster.others

    async def _mail(self, change: AlertChange, now: int) -> list[Statement]:
        if change.step == "send":
            _log.warning("alert.raised", kind=change.alert.kind, name=change.alert.name)
            return await mail_statements(
                self._mails, self.section, change.alert, now, records.mail_condition(change)
            )
        if change.step == "end":
            _log.info("alert.ended", kind=change.alert.kind, name=change.alert.name)
            return await mail_statements(
                self._mails, self.section, change.alert, now, records.mail_condition(change), is_over=True
            )
        return []


async def mail_statements(
    mails: Mails,
    section: AlertSection,
    alert: Alert,
    now: int,
    only_if: Condition = ALWAYS,
    *,
    is_over: bool = False,
) -> list[Statement]:
    """Return the statements of one mail for each address."""
    facts = {"alert": TITLES[alert.kind], "name": alert.place, "since": _to_minute(alert.since)}
    facts |= {"ended": _to_minute(alert.gone or now)} if is_over else {"detail": alert.detail}
    letter = Letter(kind="alert_ended" if is_over else "alert", facts={**facts, "link": mails.link("")})
    letters = [Letter(kind=letter.kind, facts=letter.facts, to=to) for to in section.mail]
    return [
        each for addressed in letters for each in await mails.statements(addressed, now=now, only_if=only_if)
    ]


def _engine_troubles(name: str, engine: LiveEngine) -> Iterator[Trouble]:
    keys = engine.keys if isinstance(engine, CloudEngine) else ()
    refused = [key.number for key in keys if key.breaker.is_refused and not key.breaker.is_closed]
    return alerts.engine_troubles(name, engine.state, refused)


def _to_minute(moment: int) -> str:
    return f"{datetime.fromtimestamp(moment / 1e6, UTC):%Y-%m-%d %H:%M}"
