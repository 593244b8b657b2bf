"""A receipt waits for the other servers and workers on one database that live."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxy.catalogue.erasing import DerivedData
from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.features.erasure.erasure import Erasure, open_erasure
from proxy.file_store.vault import Vault
from proxy.storage import tombstones
from proxy.storage.store import Statement, Store
from proxy.telemetry.metrics import Metrics
from speech_engine.host.cluster_messages import TombstonesRead
from tests.databases import Postgres
from tests.features.cluster.rig import Link
from tests.features.erasure.test_leases import erasure_with
from tests.features.erasure.test_steps import ACCOUNT, Things
from tests.proxy.file_store.owned import Owned, add_voice
from tests.waiting import soon


@pytest.fixture
async def store(shared_postgres: Postgres, tmp_path: Path) -> AsyncIterator[Store]:
    with shared_postgres.lent_schema() as schema:
        async with open_store(shared_postgres.url(search_path=schema), tmp_path) as opened:
            yield opened


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.features.erasure.erasure._FOLLOW_EVERY_S", 0.02)
    monkeypatch.setattr("proxy.features.erasure.erasure._OTHER_SERVERS_WAIT_S", 0.5)
    monkeypatch.setattr("proxy.features.erasure.erasure._RETRY_AFTER_S", 0.02)


@asynccontextmanager
async def following(store: Store, folder: Path, things: Things) -> AsyncIterator[Erasure]:
    """Another server, which has looked once."""
    vault = Vault(store, VaultSection(), folder)
    async with open_erasure(store, vault, folder, Metrics()) as opened:
        opened.derived_data = DerivedData((things,), (things,), things.drop)
        await soon(lambda: store.read("SELECT id FROM followers"))
        yield opened


async def owned(store: Store) -> Owned:
    return Owned(await add_voice(store, ACCOUNT), ACCOUNT)


@pytest.mark.clock
async def test_a_receipt_says_that_nothing_is_left_when_every_server_has_forgotten(
    store: Store, tmp_path: Path
) -> None:
    things, voice = Things(), await owned(store)
    things.failing = {"files"}
    erasure = erasure_with(store, Things(), tmp_path)
    async with following(store, tmp_path, things) as other:
        receipt = await erasure.erase_voice(voice)
        assert (receipt.pending, receipt.completed) == (("workers",), None)
        assert other.erased.is_erased(voice.id)
        things.failing.clear()
        assert await finished(erasure, store) == [((), True)]


@pytest.mark.clock
async def test_nobody_waits_for_a_server_that_has_ended_or_is_dead(store: Store, tmp_path: Path) -> None:
    erasure, things = erasure_with(store, Things(), tmp_path), Things()
    async with following(store, tmp_path, things):
        pass
    assert await store.read("SELECT id FROM followers") == []
    assert (await erasure.erase_voice(await owned(store))).completed is not None
    things.failing = {"files"}
    dead = erasure_with(store, things, tmp_path)
    await dead.follow_others()
    voice = await owned(store)
    assert (await erasure.erase_voice(voice)).pending == ("workers",)
    await store.write(Statement("UPDATE followers SET looked = looked - 16000000"))
    assert await finished(erasure, store) == [((), True)]


@pytest.mark.clock
async def test_a_gateway_with_hosts_elsewhere_is_waited_for_until_they_have_forgotten(
    store: Store, tmp_path: Path
) -> None:
    link, vault = Link(), Vault(store, VaultSection(), tmp_path)
    erasure = erasure_with(store, Things(), tmp_path)
    opening = open_erasure(store, vault, tmp_path, Metrics(), link.made(), has_clusters=True)
    async with opening as gateway:
        gateway.derived_data = DerivedData()
        await soon(lambda: store.read("SELECT id FROM followers"))
        assert TombstonesRead() in link.told
        assert (await erasure.erase_voice(await owned(store))).completed is not None
    assert len(await store.read("SELECT id FROM followers")) == 1, "its hosts know nothing of its end yet"
    voice = await owned(store)
    assert (await erasure.erase_voice(voice)).pending == ("workers",)
    for passed_s, is_complete in ((60, False), (15, True)):
        sql = "UPDATE followers SET looked = looked - CAST(:passed AS BIGINT)"
        await store.write(Statement(sql, {"passed": passed_s * 1_000_000}))
        ((_, completed),) = await finished(erasure, store)
        assert completed == is_complete, passed_s


async def test_a_server_whose_database_was_away_for_long_forgets_what_was_erased_then(
    store: Store, tmp_path: Path
) -> None:
    things, voice = Things(), await owned(store)
    late = erasure_with(store, things, tmp_path)
    await late.follow_others()
    await erasure_with(store, Things(), tmp_path).erase_voice(voice)
    late._forgotten_until_us -= 300_000_000
    await store.write(Statement("UPDATE erasures SET began = began - 200000000"))
    await late.follow_others()
    assert late.erased.is_erased(voice.id)


async def finished(erasure: Erasure, store: Store) -> list[tuple[tuple[str, ...], bool]]:
    """The receipts after another attempt: what is pending, and whether each is complete."""
    await store.write(Statement("UPDATE erasures SET due = 1"))
    begun = await erasure.look()
    await erasure.finish()
    found = [await tombstones.get(erasure._store, ACCOUNT, each.subject) for each in begun]
    return [(each.pending, each.completed is not None) for each in found if each is not None]
