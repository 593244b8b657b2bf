"""What only the SQLite store promises: group commit, answers after the commit, a private file."""

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from proxy.storage.batch_writer import ITEMS_A_BATCH
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Statement, StorageFailed
from tests.proxy.storage.notes import ids_on_disk, names_in, note


async def test_writes_that_come_together_share_a_commit(sqlite: SqliteStore) -> None:
    begun: list[str] = []
    sqlite._commit_thread.connection.set_trace_callback(begun.append)
    commits, units = sqlite.commits, sqlite.units
    await asyncio.gather(*(sqlite.write(note(str(number))) for number in range(300)))
    assert sqlite.units - units == 300
    assert 300 / ITEMS_A_BATCH < sqlite.commits - commits <= 30
    assert begun.count("COMMIT") == sqlite.commits - commits


async def test_no_commit_takes_more_than_its_share(sqlite: SqliteStore) -> None:
    seen: list[str] = []
    sqlite._commit_thread.connection.set_trace_callback(seen.append)
    await asyncio.gather(*(sqlite.write(note(str(number))) for number in range(2 * ITEMS_A_BATCH + 1)))
    batches = " ".join(word.split()[0] for word in seen).split("COMMIT")
    assert max(batch.count("INSERT") for batch in batches) == ITEMS_A_BATCH


async def test_an_answer_comes_only_after_the_commit(sqlite: SqliteStore, tmp_path: Path) -> None:
    answered_at_commit: list[bool] = []

    def watch(sql: str) -> None:
        if sql == "COMMIT":
            answered_at_commit.append(any(write.done() for write in writes))

    sqlite._commit_thread.connection.set_trace_callback(watch)
    writes = [asyncio.create_task(sqlite.write(note(str(number)))) for number in range(20)]
    for number, write in enumerate(writes):
        await write
        assert str(number) in ids_on_disk(tmp_path / "voxgate.db")
    assert answered_at_commit == [False]


async def test_when_the_commit_fails_every_unit_in_it_has_failed(sqlite: SqliteStore, tmp_path: Path) -> None:
    # A constraint that is checked only at COMMIT stands for a disk that fails there.
    await sqlite.write(
        Statement("CREATE TABLE late (note TEXT REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)")
    )
    commits = sqlite.commits
    broken = sqlite.write(Statement("INSERT INTO late VALUES ('nowhere')"))
    answers = await asyncio.gather(
        *(sqlite.write(note(str(number))) for number in range(10)), broken, return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [StorageFailed] * 11
    assert ids_on_disk(tmp_path / "voxgate.db") == set()
    assert sqlite.commits == commits
    await sqlite.write(note("after"))
    assert ids_on_disk(tmp_path / "voxgate.db") == {"after"}


async def test_when_writing_stops_for_good_nobody_waits_and_the_store_says_so(
    sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fault of ours in the thread, whatever it may be.
    monkeypatch.setattr("proxy.storage.sqlite_batch.SqliteBatches.commit", None)
    writes = (sqlite.write(note(str(number))) for number in range(ITEMS_A_BATCH + 9))
    answers = await asyncio.gather(*writes, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StorageFailed}
    with pytest.raises(StorageFailed):
        await sqlite.write(note("later"))
    with pytest.raises(StorageFailed):
        await sqlite.read("SELECT 1")


async def test_a_close_waits_for_every_write_that_was_handed_over(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    # More than one commit takes, so that the last ones still stand in line when the store closes.
    names = {str(number) for number in range(2 * ITEMS_A_BATCH + 1)}
    writes = [asyncio.create_task(sqlite.write(note(name))) for name in names]
    await asyncio.sleep(0)
    await sqlite.close()
    await asyncio.gather(*writes)
    assert ids_on_disk(tmp_path / "voxgate.db") == names


async def test_a_close_that_is_cancelled_loses_nothing_handed_over(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    write = asyncio.create_task(sqlite.write(note("a")))
    closing_it = asyncio.create_task(sqlite.close())
    await asyncio.sleep(0)
    closing_it.cancel()
    await write
    await asyncio.wait([closing_it])
    assert closing_it.cancelled()
    assert ids_on_disk(tmp_path / "voxgate.db") == {"a"}


async def test_commits_are_flushed_and_references_checked(sqlite: SqliteStore) -> None:
    pragmas = {}
    for pragma in ("journal_mode", "synchronous", "foreign_keys"):
        ((pragmas[pragma],),) = sqlite._commit_thread.connection.execute(f"PRAGMA {pragma}")
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


async def test_the_log_of_the_driver_shows_no_values(
    sqlite: SqliteStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await sqlite.write(note("secret-id", "secret text"))
    await sqlite.read("SELECT id FROM notes WHERE id = :id", {"id": "secret-id"})
    assert "SELECT" in caplog.text
    assert "secret" not in caplog.text


async def test_the_database_is_its_owners_alone(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "data" / "voxgate.db")
    await store.write(Statement("CREATE TABLE notes (id TEXT)"))
    files = [tmp_path / "data", *(tmp_path / "data").iterdir()]
    modes = [stat.S_IMODE(file.stat().st_mode) & 0o077 for file in files]
    await store.close()
    assert modes == [0] * 4  # the folder, the database, its log and its index


async def test_after_closing_the_database_is_one_file(sqlite: SqliteStore, tmp_path: Path) -> None:
    await sqlite.write(note("a"))
    await sqlite.close()
    assert names_in(tmp_path) == ["voxgate.db"]
    assert ids_on_disk(tmp_path / "voxgate.db") == {"a"}


async def test_a_file_that_is_no_database_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "voxgate.db"
    path.write_bytes(b"no database at all, " * 100)
    with pytest.raises(StorageFailed, match=r"voxgate\.db.*not a database"):
        await SqliteStore.open(path)


async def test_a_folder_that_cannot_be_made_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageFailed, match=r"file/voxgate\.db"):
        await SqliteStore.open(tmp_path / "file" / "voxgate.db")


async def test_a_stranger_holding_the_lock_delays_a_write_but_loses_none(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "voxgate.db", isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        write = asyncio.create_task(sqlite.write(note("a")))
        await sqlite.read("SELECT 1")
        assert not write.done()
        stranger.execute("ROLLBACK")
    await write
    assert ids_on_disk(tmp_path / "voxgate.db") == {"a"}


async def test_the_repr_tells_what_was_written(sqlite: SqliteStore) -> None:
    assert repr(sqlite) == "<SqliteStore voxgate.db, 1 units in 1 commits, 0 waiting>"
