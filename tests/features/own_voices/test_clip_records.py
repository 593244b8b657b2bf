"""Clips as rows, on both databases: numbered, bounded, and erased with a tombstone of their own."""

import asyncio
from pathlib import Path

import pytest

from proxy.config.sections import VaultSection
from proxy.feature_list import all_tables, open_store
from proxy.features.erasure import tombstone_rows
from proxy.features.erasure.erasure import Erasure, open_erasure
from proxy.features.own_voices import records as voices
from proxy.features.own_voices import retention
from proxy.features.own_voices.seals import ClipTexts, open_clip, seal_clip
from proxy.file_store.master_keys import MasterKeySource, rewrap_some
from proxy.file_store.vault import Vault
from proxy.storage import accounts, blobs, library_revisions, samples, tombstones
from proxy.storage.blobs import BlobRow
from proxy.storage.sample_record import SampleRecord
from proxy.storage.sqlite import SqliteStore
from proxy.storage.sqlite_backup import back_up, restore
from proxy.storage.store import ALWAYS, AlreadyExists, Condition, Row, Statement, Store
from proxy.storage.tombstones import Tombstone
from proxy.telemetry.metrics import Metrics
from tests.databases import Postgres
from tests.features.own_voices.test_races import CLOSE, OPEN, WAITING, Gated
from tests.proxy.file_store.owned import Owned, add_voice
from tests.proxy.file_store.vaults import BOTH, NEW, OLD, files_of

pytestmark = pytest.mark.both_stores

FIRST, NEXT = "ab" * 32, "cd" * 32
ACCOUNT = "acc_a"
_CLONE = """
INSERT INTO bindings (id, voice, account, revision, engine, credential, state)
VALUES ('bind_1', :voice, :account, 1, 'one', '', 'ready')
"""


def clip(voice: str, id_: str = "clip_1", digest: str = NEXT, **more: object) -> SampleRecord:
    values = {"voice": voice, "number": 0, "account": ACCOUNT, "digest": digest, "seconds": 6.0, "id": id_}
    return SampleRecord(**{**values, **more})  # type: ignore[arg-type]  # as they come


async def add(store: Store, row: SampleRecord, most: int = 25, only_if: Condition = ALWAYS) -> bool:
    return await voices.add_clip(store, row, most, only_if)


def tombstone(subject: str, *digests: str) -> Tombstone:
    return Tombstone(subject=subject, account=ACCOUNT, digests=digests, began=1)


async def revision(store: Store, voice: str) -> int:
    found = await voices.get(store, None, voice)
    assert found is not None
    return found.revision


@pytest.fixture
async def voice(store: Store) -> str:
    for digest in (FIRST, NEXT):
        await blobs.put(store, BlobRow(ACCOUNT, digest, "wrapped", 9))
    return await add_voice(store, ACCOUNT, FIRST)


async def test_a_clip_comes_behind_the_others_and_the_voice_sounds_otherwise(
    store: Store, voice: str
) -> None:
    before = (await library_revisions.read_revisions(store, [ACCOUNT])).get(ACCOUNT, 0)
    assert await add(store, clip(voice, tag="sad", wrapped="w", sealed="s"))
    assert await add(store, clip(voice, "clip_2", number=9))
    first, one, two = await samples.list_of_voice(store, voice)
    assert (first.id, one.id, one.tag, one.wrapped, one.sealed) == ("", "clip_1", "sad", "w", "s")
    assert [each.number for each in (first, one, two)] == [0, 1, 2]
    assert await revision(store, voice) == 3
    assert (await library_revisions.read_revisions(store, [ACCOUNT]))[ACCOUNT] == before + 2
    assert await samples.find_clip(store, ACCOUNT, "clip_1") == one
    assert await samples.find_clip(store, "acc_b", "clip_1") is None
    assert await samples.find_clip(store, ACCOUNT, "") is None
    assert await samples.list_original(store, voice) == [first]


async def test_a_clip_is_added_only_if_all_that_it_needs_is_there(store: Store, voice: str) -> None:
    assert not await add(store, clip("voice_none"))
    assert not await add(store, clip(voice, digest="ef" * 32)), "its recording is gone"
    assert not await add(store, clip(voice), only_if=Condition("1 = 0", {}))
    assert not await add(store, clip(voice), most=1)
    assert not await add(store, clip(voice, account="acc_b"))
    await store.write(Statement("UPDATE voices SET kind = 'mix'"))
    assert not await add(store, clip(voice))
    assert await revision(store, voice) == 1
    assert len(await samples.list_of_voice(store, voice)) == 1


async def test_an_id_is_taken_once_and_never_after_its_erasure(store: Store, voice: str) -> None:
    assert await add(store, clip(voice))
    with pytest.raises(AlreadyExists):
        await add(store, clip(voice))
    assert await tombstone_rows.erase_subject(store, tombstone("clip_1", NEXT))
    assert not await add(store, clip(voice))


async def test_clips_added_at_once_take_no_more_than_the_room(store: Store, voice: str) -> None:
    added = await asyncio.gather(*(add(store, clip(voice, f"clip_{n}"), most=4) for n in range(9)))
    assert sum(added) == 3
    assert [each.number for each in await samples.list_of_voice(store, voice)] == [0, 1, 2, 3]
    assert await revision(store, voice) == 4


async def test_a_tombstone_takes_the_clip_alone(store: Store, voice: str) -> None:
    await add(store, clip(voice))
    await add(store, clip(voice, "clip_2"))
    assert await tombstone_rows.digests_of(store, "clip_1") == (NEXT,)
    assert await tombstone_rows.erase_subject(store, tombstone("clip_1", NEXT))
    assert [each.id for each in await samples.list_of_voice(store, voice)] == ["", "clip_2"]
    assert await revision(store, voice) == 4
    assert not await tombstone_rows.erase_subject(store, tombstone("clip_1", NEXT))


async def test_a_clip_is_no_thing_of_its_own_when_an_account_goes(store: Store, voice: str) -> None:
    await accounts.create(store, name="bob", plan="free")
    await add(store, clip(voice))
    assert await tombstone_rows.list_of_account(store, ACCOUNT) == [voice]
    await accounts.close(store, ACCOUNT)
    assert await retention.list_closed_owners(store) == [ACCOUNT]
    # What an older server made has no id, and nothing of it is found by an empty one.
    assert await tombstone_rows.digests_of(store, "clip_") == ()


async def test_a_voice_is_not_erased_beside_a_recording_that_its_tombstone_does_not_name(
    store: Store, voice: str
) -> None:
    clones = "SELECT state FROM bindings"
    await store.write(Statement(_CLONE, {"voice": voice, "account": ACCOUNT}))
    known = await tombstones.list_recordings(store, voice)
    await add(store, clip(voice))
    assert not await tombstone_rows.erase_subject(store, tombstone(voice, FIRST), recordings=known)
    assert await tombstones.get(store, ACCOUNT, voice) is None
    assert len(await samples.list_of_voice(store, voice)) == 2
    assert await store.read(clones) == [{"state": "ready"}]
    more = await tombstones.list_recordings(store, voice)
    assert await tombstone_rows.erase_subject(store, tombstone(voice, FIRST, NEXT), recordings=more)
    assert await store.read("SELECT * FROM samples") == []
    assert await store.read(clones) == [{"state": "doomed"}]


class MeanwhileStore(SqliteStore):
    """A store in which a clip is added just before a tombstone."""

    voice = ""

    async def write(self, *statements: Statement) -> list[list[Row]]:
        if self.voice and any("INSERT INTO erasures" in each.sql for each in statements):
            voice, self.voice = self.voice, ""
            assert await add(self, clip(voice))
        return await super().write(*statements)


async def test_an_erasure_names_a_clip_that_was_added_while_it_began(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path):
        pass  # the tables
    store = await MeanwhileStore.open(tmp_path / "voxgate.db", all_tables())
    assert isinstance(store, MeanwhileStore)
    try:
        await blobs.put(store, BlobRow(ACCOUNT, NEXT, "wrapped", 9))
        voice = await add_voice(store, ACCOUNT, FIRST)
        store.voice = voice
        erasure = Erasure(store, Vault(store, VaultSection(), tmp_path), tmp_path)
        receipt = await erasure.erase_voice(Owned(voice, ACCOUNT))
        assert receipt.digests == (FIRST, NEXT)
        assert await store.read("SELECT * FROM samples") == []
        assert await blobs.find(store, ACCOUNT, NEXT) is None
    finally:
        await store.close()


@pytest.mark.parametrize("first", ["add", "erase"])
async def test_one_of_two_waits_for_the_other(shared_postgres: Postgres, tmp_path: Path, first: str) -> None:
    """A clip and the end of its voice, on two servers: what is second knows what was first."""
    url = shared_postgres.url(search_path=shared_postgres.new_schema(), deadlock_timeout="60s")
    async with open_store(url, tmp_path) as one, open_store(url, tmp_path) as other:
        for digest in (FIRST, NEXT):
            await blobs.put(one, BlobRow(ACCOUNT, digest, "wrapped", 9))
        voice = await add_voice(one, ACCOUNT, FIRST)
        works = {
            "add": lambda store: add(store, clip(voice)),
            "erase": lambda store: tombstone_rows.erase_subject(
                store, tombstone(voice, FIRST), recordings=frozenset({FIRST})
            ),
        }
        (second,) = works.keys() - {first}
        async with asyncio.timeout(60), one._pools.readers.acquire() as gate:  # type: ignore[attr-defined]
            await gate.execute(CLOSE)
            begun = asyncio.create_task(works[first](Gated(one)))
            while not (await other.read(WAITING, {"kind": "advisory"}))[0]["waiting"]:
                pass
            waits = asyncio.create_task(works[second](other))
            while not (await one.read(WAITING, {"kind": "transactionid"}))[0]["waiting"]:
                pass
            await gate.execute(OPEN)
            assert (await begun, await waits) == (True, False)
        stored = len(await samples.list_of_voice(other, voice))
        assert stored == (2 if first == "add" else 0)


async def test_the_words_of_a_clip_hang_on_the_master_key(store: Store, tmp_path: Path) -> None:
    vault = Vault(store, OLD, tmp_path)
    await blobs.put(store, BlobRow(ACCOUNT, NEXT, "w", 9))
    voice = await add_voice(store, ACCOUNT)
    sealed = await seal_clip(vault, clip(voice), ClipTexts(words="Good morning.", request="ab"))
    assert await add(store, sealed)
    step = await rewrap_some(store, MasterKeySource(BOTH, tmp_path))
    assert step is not None
    assert (step.rewrapped, step.damaged, step.left) == (1, 0, 0)
    row = await samples.find_clip(store, ACCOUNT, "clip_1")
    assert row is not None
    assert open_clip(Vault(store, NEW, tmp_path), row) == ClipTexts(words="Good morning.", request="ab")


async def test_a_restored_backup_does_not_bring_a_clip_back(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        vault = Vault(store, VaultSection(), tmp_path)
        first, next_ = await vault.put(ACCOUNT, bytes(1000)), await vault.put(ACCOUNT, bytes(2000))
        voice = await add_voice(store, ACCOUNT, first)
        await add(store, clip(voice, digest=next_))
        await asyncio.to_thread(back_up, tmp_path / "voxgate.db", tmp_path / "backup.db")
        async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
            receipt = await erasure.erase(Owned("clip_1", ACCOUNT))
            assert receipt is not None
            assert receipt.completed is not None
    await asyncio.to_thread(restore, tmp_path / "backup.db", tmp_path, all_tables())
    async with open_store("sqlite", tmp_path) as store:
        vault = Vault(store, VaultSection(), tmp_path)
        assert len(await samples.list_of_voice(store, voice)) == 2
        async with open_erasure(store, vault, tmp_path, Metrics()) as erasure:
            assert erasure.replayed == 1
            assert [each.id for each in await samples.list_of_voice(store, voice)] == [""]
            (receipt,) = await erasure.finish_interrupted()
            assert receipt.completed is not None
        assert not (tmp_path / "voices" / ACCOUNT / next_).exists()
        assert await vault.open(ACCOUNT, first) == bytes(1000)


async def test_what_no_row_came_to_name_is_forgotten(tmp_path: Path) -> None:
    """A server that was killed between the two."""
    async with open_store("sqlite", tmp_path) as store:
        vault = Vault(store, VaultSection(), tmp_path)
        digest = await vault.put(ACCOUNT, bytes(1000))
        await add_voice(store, ACCOUNT)
        await store.write(Statement("UPDATE blobs SET created = 1"))
        await vault.tidy()
        assert await blobs.find(store, ACCOUNT, digest) is None
        assert files_of(tmp_path, ACCOUNT, digest) == []
