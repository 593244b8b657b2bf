"""The life of alerts by the simulated clock, over a restart, with real engines and a real store."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import structlog

from policies.alerts import Trouble
from policies.breaker import Breaker
from proxy.catalogue.cluster import ClusterView
from proxy.config.sections import EngineSection
from proxy.engines.engine_list import Engines
from proxy.engines.local_samples import LocalSamples
from proxy.engines.remote_engine import RemoteEngine
from proxy.engines.sample_source import NO_SOURCE
from proxy.feature_list import open_store
from proxy.features.alerts import records
from proxy.features.alerts import watch as watching
from proxy.features.alerts.section import AlertSection
from proxy.features.alerts.watch import HasTroubles, Watch
from proxy.features.mail import texts
from proxy.features.mail.records import Letter
from proxy.ledger.budgets import Budgets
from proxy.storage.costs import Cost, insert_statement
from proxy.storage.store import Statement
from speech_engine.host.messages import HelloReply
from tests.features.mail.rig import MailRig, mail_rig
from tests.proxy.engines.keys import WELL, Turns, cloud_engine
from tests.speech_engine.host.simulated_time import simulated

OPS = ("ops@example.org", "more@example.org")
FAR = EngineSection(plugin="tone", runner="rented")
CLOUD = EngineSection(plugin="openai", budget_usd_day=1.0)

COST = Cost(
    request="req_1",
    attempt=1,
    account="acc_1",
    at=0,
    engine="cloud",
    model="m",
    characters=1,
    audio_ms=1,
    units=None,
    micro_usd=800_000,
)


class Orders:
    """An earlier feature with trouble of its own."""

    def __init__(self) -> None:
        self.found: list[Trouble] = []

    async def troubles(self) -> Sequence[Trouble]:
        return self.found


class Watched:
    """A server's parts, which may fail, and its watch while it runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.far = RemoteEngine("far", FAR, LocalSamples(NO_SOURCE))
        self.far.failure = ""
        self.cloud = cloud_engine(Turns(WELL))
        self.orders = Orders()
        self.addresses: tuple[str, ...] = OPS
        assert isinstance(self.orders, HasTroubles)

    @asynccontextmanager
    async def runs(self) -> AsyncIterator[MailRig]:
        sections = {"far": FAR, "cloud": CLOUD}
        async with open_store("sqlite", self.folder) as store, mail_rig(store, self.folder) as rig:
            engines = Engines({"far": self.far, "cloud": self.cloud}, sections)
            watch = Watch(store, rig.mails, engines, self.folder, [self.orders], ClusterView())
            watch.section = AlertSection(self.addresses)
            watch.budgets = Budgets(store, sections, rig.metrics.engines)
            running = asyncio.create_task(watch.run(rig.metrics))
            try:
                yield rig
            finally:
                running.cancel()
                await asyncio.wait([running])


async def mailed(rig: MailRig) -> list[str]:
    """Return the new mails, each with its address, and forget them."""
    found = []
    for row in await rig.rows():
        letter = rig.vault.open_record(row.account, row.id, row.seal, Letter)
        subject, _ = texts.render(letter.kind, "", letter.facts)
        found.append(f"{letter.to}: {subject}")
    await rig.store.write(Statement("DELETE FROM mails"))
    return sorted(found)


def to_all(subject: str) -> list[str]:
    return sorted(f"{to}: {subject}" for to in OPS)


@simulated
async def test_trouble_is_mailed_once_and_its_end_too_over_a_restart(tmp_path: Path) -> None:
    server = Watched(tmp_path)
    async with server.runs() as rig:
        await asyncio.sleep(45)
        server.far.failure = "its words are not mailed"
        await asyncio.sleep(60)
        assert await mailed(rig) == [], "it was found 45 seconds ago"
        await asyncio.sleep(30)
        assert await mailed(rig) == to_all("[alert] An engine has failed: far")
    server.far.failure = ""
    async with server.runs() as rig:
        await asyncio.sleep(600)
        assert await mailed(rig) == [], "it is starting"
        server.far.failure = "again"
        await asyncio.sleep(600)
        assert await mailed(rig) == []
        (alert,) = await records.list_all(rig.store)
        assert (alert.kind, alert.name, alert.detail) == ("engine_failed", "far", "state failed")
    server.far.failure = ""
    server.far.take_hello(HelloReply(1, 1, Turns(WELL).models(), ()), 1.0)
    async with server.runs() as rig:
        await asyncio.sleep(45)
        assert await mailed(rig) == []
        await asyncio.sleep(60)
        assert await mailed(rig) == to_all("[ended] An engine has failed: far")
        assert await records.list_all(rig.store) == []


@simulated
async def test_everything_that_is_known_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Watched(tmp_path)
    server.cloud.keys[0].breaker = Breaker(open_s=300.0, since=0.0, is_refused=True)
    server.orders.found = [Trouble("order_attention", "ord_1"), Trouble("dispute", "mercadopago:77")]
    monkeypatch.setattr(watching, "disk_room", lambda _data: (49, 1000))
    # Sums of costs are cached for some real seconds.
    async with open_store("sqlite", tmp_path) as store:
        await store.write(insert_statement(msgspec.structs.replace(COST, at=await store.now())))
    with structlog.testing.capture_logs() as logs:
        async with server.runs() as rig:
            await asyncio.sleep(100)
            subjects = [each.partition(": ")[2] for each in await mailed(rig) if each.startswith("ops")]
            assert subjects == [
                "[alert] 80 % of a budget are used: cloud, day",
                "[alert] A payment is disputed: mercadopago:77",
                "[alert] A provider refuses a key: cloud, key 1",
                "[alert] An order needs attention: ord_1",
                "[alert] The disk is nearly full: data",
            ]
            server.orders.found = []
            await asyncio.sleep(100)
            assert len(await mailed(rig)) == 4
    assert "ops@" not in str(logs)
    assert [each["event"] for each in logs].count("alert.ended") == 2


@simulated
async def test_without_addresses_trouble_is_noted_and_nothing_is_mailed(tmp_path: Path) -> None:
    server = Watched(tmp_path)
    server.addresses = ()
    async with server.runs() as rig:
        server.orders.found = [Trouble("order_attention", "ord_1")]
        await asyncio.sleep(100)
        assert [(each.kind, each.name) for each in await records.list_all(rig.store)] == [
            ("order_attention", "ord_1")
        ]
        assert await mailed(rig) == []
