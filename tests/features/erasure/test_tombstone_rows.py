"""Tombstones: put in one commit with the deletion; and what a database's files keep of what was deleted."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.feature_list import open_store
from proxy.features.consents import records as consents
from proxy.features.erasure import tombstone_rows
from proxy.storage import audit, tombstones
from proxy.storage.audit import Act
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Statement, Store
from proxy.storage.tombstones import Tombstone
from tests.proxy.file_store.owned import add_consent, add_voice

CANARY = "the name of a person"


def tombstone(subject: str, began: int = 1, *digests: str) -> Tombstone:
    return Tombstone(subject=subject, account="acc_a", digests=digests, began=began, pending=("hosts",))


def act(id_: str, subject: str, at: int = 1) -> Act:
    details = f'{{"name": "{CANARY}"}}'
    return Act(
        id=id_, at=at, actor="key_1", action="voice.made", subject=subject, account="acc_a", details=details
    )


async def rows(store: Store, table: str) -> int:
    (row,) = await store.read(f"SELECT count(*) AS number FROM {table}")
    return int(row["number"])


async def test_a_tombstone_takes_the_voice_its_samples_and_what_the_audit_said_of_it(store: Store) -> None:
    voice = await add_voice(store, "acc_a", "d1", "d2")
    other = await add_voice(store, "acc_a", "d1")
    await store.write(
        *audit.insert_statements(act("aud_1", voice)), *audit.insert_statements(act("aud_2", other))
    )
    assert await tombstone_rows.digests_of(store, voice) == ("d1", "d2")
    assert await tombstone_rows.erase_subject(store, tombstone(voice, 5, "d1", "d2"))
    assert [row["id"] for row in await store.read("SELECT id FROM voices")] == [other]
    assert await rows(store, "samples") == 1
    said = {each.subject: each.details for each in await audit.list_acts(store, limit=10)}
    assert said[voice] == "{}"
    assert CANARY in said[other]
    found = await tombstones.get(store, "acc_a", voice)
    assert found == tombstone(voice, 5, "d1", "d2")
    assert await tombstones.get(store, "acc_b", voice) is None


async def test_a_second_erasure_changes_nothing(store: Store) -> None:
    voice = await add_voice(store, "acc_a", "d1")
    answers = await asyncio.gather(
        *(tombstone_rows.erase_subject(store, tombstone(voice, began)) for began in (5, 6, 7))
    )
    assert sorted(answers) == [False, False, True]
    assert await tombstone_rows.TASKS.write_held(store, tombstone(voice), {"pending": "[]", "completed": 8})
    assert not await tombstone_rows.erase_subject(store, tombstone(voice, 9))
    found = await tombstones.get(store, "acc_a", voice)
    assert found is not None
    assert found.completed is not None
    assert found.pending == ()


async def test_a_consent_goes_only_when_no_voice_needs_it(store: Store) -> None:
    consent = await add_consent(store, "acc_a", "d1")
    voice = await add_voice(store, "acc_a", "d2")
    await store.write(Statement("UPDATE voices SET consent = :consent", {"consent": consent}))
    assert await consents.find_dependent_voice(store, consent) == voice
    assert not await tombstone_rows.erase_subject(store, tombstone(consent), act("aud_1", consent))
    assert (await rows(store, "consents"), await rows(store, "audit"), await rows(store, "erasures")) == (
        1,
        0,
        0,
    )
    await tombstone_rows.erase_subject(store, tombstone(voice))
    assert await tombstone_rows.erase_subject(store, tombstone(consent))
    assert await rows(store, "consents") == 0


async def test_a_refused_erasure_leaves_the_details_of_earlier_acts(store: Store) -> None:
    consent = await add_consent(store, "acc_a", "d1")
    voice = await add_voice(store, "acc_a", "d2")
    await store.write(
        Statement("UPDATE voices SET consent = :consent", {"consent": consent}),
        *audit.insert_statements(act("aud_1", consent)),
        *audit.insert_statements(act("aud_2", voice)),
    )
    # A voice needs the consent, and the voice has a recording that its erasure does not name.
    assert not await tombstone_rows.erase_subject(store, tombstone(consent), act("aud_3", consent))
    assert not await tombstone_rows.erase_subject(
        store, tombstone(voice), act("aud_4", voice), recordings=("d9",)
    )
    details = [each.details for each in await audit.list_acts(store, limit=10)]
    assert [CANARY in each for each in details] == [True, True]
    assert await tombstone_rows.erase_subject(store, tombstone(voice), recordings=("d2",))
    assert await tombstone_rows.erase_subject(store, tombstone(consent))
    assert [each.details for each in await audit.list_acts(store, limit=10)] == ["{}", "{}"]


async def test_erasures_are_open_until_they_are_complete(store: Store) -> None:
    voices = [await add_voice(store, "acc_a") for _ in range(3)]
    for began, voice in enumerate(voices):
        await tombstone_rows.erase_subject(store, tombstone(voice, began))
    await tombstone_rows.TASKS.write_held(store, tombstone(voices[0]), {"completed": 8})
    await tombstone_rows.TASKS.write_held(store, tombstone(voices[1]), {"pending": '["workers"]', "due": 1})
    pending = await tombstone_rows.TASKS.list_open(store, 10, 10)
    assert [(each.subject, each.pending) for each in pending] == [
        (voices[2], ("hosts",)),
        (voices[1], ("workers",)),
    ]
    assert [each.subject for each in await tombstone_rows.list_since(store, 1)] == voices[1:]
    assert await tombstones.list_erased(store, [*voices, "voice_other"]) == set(voices)
    assert await tombstones.list_erased(store, []) == set()


def hits(data: Path) -> dict[str, int]:
    """How often the canary is in the files of the database."""
    names = {file.name: file.read_bytes().count(CANARY.encode()) for file in data.glob("voxgate.db*")}
    return {name: count for name, count in names.items() if count}


async def test_sqlite_overwrites_what_is_deleted_and_empties_its_log(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        assert isinstance(store, SqliteStore)
        await add_voice(store, "acc_a", id_=f"voice of {CANARY}")
        await store.write(Statement("UPDATE voices SET description = :text", {"text": CANARY * 500}))
        assert hits(tmp_path)
        await tombstone_rows.erase_subject(store, tombstone("voice of nobody"))
        await store.write(Statement("DELETE FROM voices"))
        assert hits(tmp_path)
        assert await store.forget_deleted()
        assert hits(tmp_path) == {}
        for connection in (store._reader, store._long_reader):
            cursor = await connection.execute("PRAGMA secure_delete")
            assert await cursor.fetchone() == (1,)


async def test_sqlite_says_so_while_somebody_reads_what_was_deleted(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        await add_voice(store, "acc_a", id_=f"voice of {CANARY}")
        with closing(sqlite3.connect(tmp_path / "voxgate.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM voices").fetchone()
            await store.write(Statement("DELETE FROM voices"))
            assert not await store.forget_deleted()
            assert hits(tmp_path)
            reader.execute("COMMIT")
            assert await store.forget_deleted()
        assert hits(tmp_path) == {}


@pytest.mark.parametrize("kept", [True, False])
async def test_a_derived_write_asks_for_the_tombstone_in_its_own_commit(store: Store, kept: bool) -> None:
    voice = await add_voice(store, "acc_a")
    if not kept:
        await tombstone_rows.erase_subject(store, tombstone(voice))
    insert = f"""
    INSERT INTO clips (recording, voice, account, has_lexicon, folder, began)
    SELECT 'rec', CAST(:voice AS TEXT), 'acc_a', 0, 'here', 1 WHERE {tombstones.NOT_ERASED}
    """
    await store.write(Statement(insert, {"voice": voice}))
    assert await rows(store, "clips") == kept


async def test_postgres_forgets_over_the_same_call(store: Store) -> None:
    voice = await add_voice(store, "acc_a", "d1")
    await tombstone_rows.erase_subject(store, tombstone(voice))
    assert await store.forget_deleted()
    assert await rows(store, "voices") == 0
