"""A full disk: it is said clearly, nothing half-written stays, and all is well once there is room again."""

import asyncio
from pathlib import Path

import pytest

from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import StorageFailed
from tests.proxy.storage.notes import ids_on_disk, no_file_larger_than, note

_LARGE = "x" * 1_000_000


async def test_a_full_database_fails_the_batch_and_works_again_with_room(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    await sqlite.write(note("before"))
    sqlite._commit_thread.connection.execute("PRAGMA max_page_count = 20")
    answers = await asyncio.gather(
        sqlite.write(note("small")),
        sqlite.write(note("large", _LARGE)),
        sqlite.write(note("second")),
        return_exceptions=True,
    )
    # SQLite gives up the whole transaction here, so the small ones beside it were not kept either.
    assert [type(answer) for answer in answers] == [StorageFailed] * 3
    assert "full" in str(answers[1])
    assert ids_on_disk(tmp_path / "voxgate.db") == {"before"}
    assert [row["id"] for row in await sqlite.read("SELECT id FROM notes")] == ["before"]

    sqlite._commit_thread.connection.execute("PRAGMA max_page_count = 1000000")
    await sqlite.write(note("large", _LARGE))
    assert ids_on_disk(tmp_path / "voxgate.db") == {"before", "large"}


async def test_a_file_system_that_takes_no_more_fails_the_write_and_keeps_nothing_of_it(
    sqlite: SqliteStore, tmp_path: Path
) -> None:
    await sqlite.write(note("before"))
    with no_file_larger_than(500_000), pytest.raises(StorageFailed, match=r"the database refused"):
        await sqlite.write(note("large", _LARGE))
    assert ids_on_disk(tmp_path / "voxgate.db") == {"before"}
    await sqlite.write(note("large", _LARGE))
    assert ids_on_disk(tmp_path / "voxgate.db") == {"before", "large"}
