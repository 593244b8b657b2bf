"""The steps of an erasure, without a server: what each waits for, and when the receipt is complete."""

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path

import msgspec
import pytest
import structlog

from proxy.catalogue.erasing import DerivedData
from proxy.config.sections import VaultSection
from proxy.feature_list import all_tables
from proxy.features.clones import records
from proxy.features.clones.records import CloneTask
from proxy.features.erasure import tombstone_rows
from proxy.features.erasure.erasure import Erasure, open_erasure
from proxy.features.erasure.journal import ErasureJournal
from proxy.file_store.vault import Vault, VaultFailed
from proxy.storage import tombstones
from proxy.storage.schema import migrate
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Params, Row, Statement
from proxy.storage.tombstones import Tombstone
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics
from speech_engine import EngineUnavailable
from tests.proxy.file_store.owned import Owned, add_consent, add_voice, needs
from tests.proxy.storage.notes import migrated
from tests.speech_engine.host.simulated_time import simulated

ACCOUNT = "acc_a"


class SharedStore(SqliteStore):
    """A store that others may share. It counts what is asked of it, and somebody may write just before it."""

    forgotten = 0
    looks = asyncio.Semaphore(0)
    is_shared = False
    before_write: Statement | None = None

    async def forget_deleted(self) -> bool:
        self.forgotten += 1
        return True

    async def read(self, sql: str, params: Params | None = None) -> list[Row]:
        if "clock_timestamp" in sql:
            return [{"now": await self.now()}]
        if "completed IS NULL" in sql:
            self.looks.release()
        return await super().read(sql, params)

    async def write(self, *statements: Statement) -> list[list[Row]]:
        if (first := self.before_write) is not None:
            self.before_write = None
            await super().write(first)
        return await super().write(*statements)


class Things:
    """All that a worker has of voices. `done` are the steps in their order, `failing` those that fail."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failing: set[str] = set()
        self.forgotten: list[tuple[str, Collection[str]]] = []
        self.gone = asyncio.Event()
        self.gone.set()

    def forget_voice(self, voice: str, digests: Collection[str]) -> None:
        self.forgotten.append((voice, digests))

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        del voice
        self.done.append("late files" if is_late else "files")
        if "files" in self.failing:
            raise OSError(5, "the disk is away")

    async def drop(self, digests: Collection[str]) -> None:
        assert digests
        self.done.append("hosts")
        if "hosts" in self.failing:
            raise EngineUnavailable("silent")

    async def wait_for_providers(self, voice: str) -> bool:
        del voice
        await self.gone.wait()
        return "providers" not in self.failing


store = migrated(SharedStore)


@pytest.fixture
def things() -> Things:
    return Things()


@pytest.fixture
async def erasure(store: SharedStore, things: Things, tmp_path: Path) -> AsyncIterator[Erasure]:
    vault = Vault(store, VaultSection(), tmp_path)
    made = Erasure(store, vault, tmp_path)
    made.derived_data = DerivedData((things,), (things,), things.drop, things.wait_for_providers)
    yield made
    things.gone.set()
    await made.close()
    await vault.close()


async def voice_of(store: SharedStore, *digests: str) -> Owned:
    return Owned(await add_voice(store, ACCOUNT, *digests), ACCOUNT)


async def test_a_receipt_is_open_while_a_stream_speaks_for_long(
    erasure: Erasure, store: SharedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.erasure.erasure._STREAMS_WAIT_S", 0.01)
    voice = await voice_of(store)
    with erasure.erased.speaking((voice.id,)):
        with erasure.erased.speaking((voice.id,)):
            receipt = await erasure.erase_voice(voice)
            assert (receipt.pending, receipt.completed) == (("workers",), None)
        # One of two streams of the voice has ended.
        (receipt,) = await erasure.finish_interrupted()
        assert (receipt.pending, receipt.completed) == (("workers",), None)
    (receipt,) = await erasure.finish_interrupted()
    assert (receipt.pending, receipt.completed is None) == ((), False)


async def test_memories_and_hosts_hear_of_the_recordings_and_of_no_others(
    erasure: Erasure, store: SharedStore, things: Things
) -> None:
    bare, recorded = await voice_of(store), await voice_of(store, "ab" * 32)
    await erasure.erase_voice(bare)
    assert (things.forgotten, things.done) == ([(bare.id, ())], ["files"])
    await erasure.erase_voice(recorded)
    assert things.forgotten[1:] == [(recorded.id, ("ab" * 32,))]
    # Once with its worker, and once more when no worker brings it to a host.
    assert things.done == ["files", "hosts", "hosts", "files"]


async def test_a_host_that_is_silent_keeps_its_worker_from_having_forgotten(
    erasure: Erasure, store: SharedStore, things: Things
) -> None:
    things.failing = {"hosts"}
    receipt = await erasure.erase_voice(await voice_of(store, "ab" * 32))
    assert receipt.pending == ("workers", "hosts")
    things.failing.clear()
    (receipt,) = await erasure.finish_interrupted()
    assert receipt.pending == ()


async def test_an_erasure_that_is_tried_again_says_once_what_it_waits_for(
    erasure: Erasure, store: SharedStore, things: Things
) -> None:
    things.failing = {"files"}
    with structlog.testing.capture_logs() as logs:
        await erasure.erase_voice(await voice_of(store))
        for _ in range(2):
            await store.write(Statement("UPDATE erasures SET due = 1"))
            await erasure.look()
            await erasure.finish()
    events = [each["event"] for each in logs]
    assert events.count("erasure.finish.pending") == 1
    assert events.count("erasure.step.failed") == 3


async def test_who_erases_waits_for_the_receipt_for_a_while_and_the_erasure_goes_on(
    erasure: Erasure, store: SharedStore, things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = await voice_of(store)
    monkeypatch.setattr("proxy.features.erasure.erasure._RECEIPT_WAIT_S", 0.01)
    things.gone.clear()
    async with asyncio.timeout(30):
        receipt = await erasure.erase_voice(voice)
    assert receipt.completed is None
    things.gone.set()
    await erasure.close()
    later = await tombstones.get(erasure._store, ACCOUNT, voice.id)
    assert later is not None
    assert later.completed is not None


async def test_only_what_is_pending_is_done_again_and_the_database_after_late_files(
    erasure: Erasure, store: SharedStore, things: Things
) -> None:
    things.failing = {"files", "providers"}
    receipt = await erasure.erase_voice(await voice_of(store, "ab" * 32))
    assert receipt.pending == ("files", "providers")
    forgotten = store.forgotten
    (receipt,) = await erasure.finish_interrupted()
    # Nothing was deleted, so the database has nothing to forget.
    assert (receipt.pending, store.forgotten) == (("files", "providers"), forgotten)
    things.done.clear()
    things.failing = {"providers"}
    (receipt,) = await erasure.finish_interrupted()
    assert (receipt.pending, things.done, store.forgotten) == (("providers",), ["late files"], forgotten + 1)
    things.failing.clear()
    (receipt,) = await erasure.finish_interrupted()
    assert (receipt.pending, things.done, store.forgotten) == ((), ["late files"], forgotten + 1)


async def test_another_server_s_fresh_erasure_is_left_to_it_on_a_shared_database(
    erasure: Erasure, store: SharedStore, things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.queue.tasks._LONGEST_WAIT_S", 0.0)
    now = await store.now()
    for name, began in (("voice_fresh", now), ("voice_old", now - 61_000_000)):
        tombstone = Tombstone(subject=name, account=ACCOUNT, digests=(), began=began, pending=("files",))
        assert await tombstone_rows.erase_subject(store, tombstone)

    async def finished(is_shared: bool) -> set[str]:
        store.is_shared = is_shared
        store.looks = asyncio.Semaphore(0)
        finishing = asyncio.create_task(erasure.run(Metrics(), now))
        async with asyncio.timeout(30):
            for _ in range(3):
                await store.looks.acquire()
        finishing.cancel()
        await asyncio.wait([finishing])
        await erasure.finish()
        return {each.subject for each in await tombstone_rows.list_since(store, 0) if each.completed}

    assert await finished(is_shared=True) == {"voice_old"}
    assert await finished(is_shared=False) == {"voice_old", "voice_fresh"}


@pytest.mark.parametrize("is_shared", [True, False])
async def test_other_servers_are_followed_where_the_database_is_shared(
    store: SharedStore, tmp_path: Path, is_shared: bool
) -> None:
    store.is_shared = is_shared
    voice = await voice_of(store)
    tombstone = Tombstone(subject=voice.id, account=ACCOUNT, digests=(), began=await store.now())
    assert await tombstone_rows.erase_subject(store, tombstone)
    vault = Vault(store, VaultSection(), tmp_path)
    async with open_erasure(store, vault, tmp_path, Metrics()) as opened:
        for _ in range(200):
            if opened.erased.is_erased(voice.id):
                break
            await asyncio.sleep(0.001)
        assert opened.erased.is_erased(voice.id) is is_shared


async def test_what_could_not_be_forgotten_while_following_is_forgotten_at_a_later_turn(
    erasure: Erasure, store: SharedStore, things: Things, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.features.erasure.erasure._STREAMS_WAIT_S", 0.01)
    tombstone = Tombstone(subject="voice_a", account=ACCOUNT, digests=(), began=await store.now())
    assert await tombstone_rows.erase_subject(store, tombstone)
    with erasure.erased.speaking(("voice_a",)):
        await erasure.follow_others()
    await erasure.follow_others()
    await erasure.follow_others()
    # At the first turn its stream went on. The third had nothing left to do.
    assert things.done == ["late files"] * 2


@simulated
async def test_an_erasure_that_waits_for_an_object_looks_again_once_in_five_seconds(tmp_path: Path) -> None:
    store = await SharedStore.open(tmp_path / "voxgate.db", all_tables())
    await migrate(store)
    own, its, others = Things(), Things(), Tombstone(subject="voice_b", account="acc_b", digests=(), began=0)
    own.failing = its.failing = {"files"}
    eraser, follower = (Erasure(store, Vault(store, VaultSection(), tmp_path), tmp_path) for _ in range(2))
    eraser.derived_data, follower.derived_data = DerivedData(files=(own,)), DerivedData(files=(its,))
    working = RepeatingTask("erasures", eraser.turn, 0.1, Metrics())
    following = RepeatingTask("others", follower.follow_others, 1.0, Metrics())
    try:
        assert await tombstone_rows.erase_subject(
            store, msgspec.structs.replace(others, began=await store.now())
        )
        await eraser.erase_voice(await voice_of(store))
        own.done.clear()
        its.done.clear()
        await asyncio.sleep(60)
        assert 10 <= len(own.done) <= 12
        # The follower has two that wait.
        assert 2 * 10 <= len(its.done) <= 2 * 12
        own.failing.clear()
        its.failing.clear()
        await asyncio.sleep(6)
        assert [each.completed is None for each in await tombstone_rows.list_since(store, 0)] == [False] * 2
    finally:
        await working.aclose()
        await following.aclose()
        await eraser.close()
        await store.close()


async def test_a_closed_account_loses_its_voices_before_the_consents_that_they_need(
    erasure: Erasure, store: SharedStore
) -> None:
    voice, consent = await add_voice(store, ACCOUNT), await add_consent(store, ACCOUNT, "cd" * 32)
    await store.write(needs(voice, consent))
    await erasure.erase_account(ACCOUNT)
    assert {each.subject for each in await tombstone_rows.list_since(store, 0)} == {voice, consent}


async def test_a_closed_account_loses_the_key_of_its_digests(
    store: SharedStore, things: Things, tmp_path: Path
) -> None:
    vault = Vault(store, VaultSection(), tmp_path)
    before = await vault.name_digest(ACCOUNT, "Ada")
    assert await vault.name_digest(ACCOUNT, "Ada") == before
    await Erasure(store, vault, tmp_path).erase_account(ACCOUNT)
    assert await vault.name_digest(ACCOUNT, "Ada") != before


async def test_a_consent_that_a_voice_begins_to_need_meanwhile_stays_and_no_restart_erases_it(
    erasure: Erasure, store: SharedStore, tmp_path: Path
) -> None:
    voice, consent = await add_voice(store, ACCOUNT), await add_consent(store, ACCOUNT, "cd" * 32)
    store.before_write = needs(voice, consent)
    assert await erasure.erase(Owned(consent, ACCOUNT)) is None
    assert ErasureJournal(tmp_path).read() == []
    await store.write(needs(voice, ""))
    await erasure.replay_journal()
    assert erasure.replayed == 0
    assert await tombstone_rows.list_since(store, 0) == []


async def test_a_replayed_erasure_has_the_recordings_of_the_row_and_of_the_journal(
    erasure: Erasure, store: SharedStore, tmp_path: Path
) -> None:
    voice = await voice_of(store, "ab" * 32)
    task = CloneTask(voice=voice.id, account=ACCOUNT, revision=1, engine="cloud", credential="one")
    assert await records.add_task(store, task) is not None
    before = Tombstone(subject=voice.id, account=ACCOUNT, digests=("cd" * 32,), began=5)
    ErasureJournal(tmp_path).append(before)
    await erasure.replay_journal()
    (found,) = await tombstone_rows.list_since(store, 0)
    assert (erasure.replayed, found.digests) == (1, ("ab" * 32, "cd" * 32))
    # What a provider has of it is deleted there.
    assert [row["state"] for row in await store.read("SELECT state FROM bindings")] == ["doomed"]


async def test_a_recording_that_cannot_be_removed_is_pending(
    store: SharedStore, things: Things, tmp_path: Path
) -> None:
    class BrokenVault(Vault):
        async def drop(self, account: str, digests: Collection[str]) -> None:
            raise VaultFailed("the disk is away")

    erasure = Erasure(store, BrokenVault(store, VaultSection(), tmp_path), tmp_path)
    receipt = await erasure.erase_voice(await voice_of(store, "ab" * 32))
    assert receipt.pending == ("recordings",)


async def test_a_process_that_makes_no_clones_leaves_the_receipt_open_while_a_provider_has_one(
    erasure: Erasure, store: SharedStore
) -> None:
    """As a command without a server does it: there, no feature waits for providers."""
    voice = await voice_of(store)
    task = CloneTask(voice=voice.id, account=ACCOUNT, revision=1, engine="cloud", credential="one")
    assert await records.add_task(store, task) is not None
    assert (await erasure.erase_voice(voice)).pending == ("providers",)
    await store.write(Statement("DELETE FROM bindings"))
    (receipt,) = await erasure.finish_interrupted()
    assert receipt.completed is not None
