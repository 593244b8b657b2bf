"""What engines on other machines said of themselves, also before it stood in one table."""

from pathlib import Path

from proxy.storage import introductions
from proxy.storage.schema import known_migrations, migrate
from proxy.storage.store import Statement, Store
from tests.proxy.storage.notes import open_bare

BEFORE_ONE_TABLE = 27


async def test_an_engine_is_recalled_where_it_was_and_only_those_of_workers_are_listed(store: Store) -> None:
    await introductions.store_introduction(store, "far", b"before", "there")
    await introductions.store_introduction(store, "far", b"hello", "there")
    await introductions.store_introduction(store, "near", b"hi")
    assert await introductions.find_introduction(store, "far", "there") == b"hello"
    assert await introductions.find_introduction(store, "far", "elsewhere") is None
    assert await introductions.list_of_workers(store, 0) == {"near": b"hi"}
    assert await introductions.list_of_workers(store, await store.now() + 1) == {}
    await store.write(Statement("UPDATE introductions SET hello = '?'"))
    assert await introductions.find_introduction(store, "far", "there") is None


async def test_what_engines_said_before_is_known_after_the_upgrade(
    new_store_url: str, tmp_path: Path
) -> None:
    store = await open_bare(new_store_url, tmp_path)
    try:
        await migrate(store, known_migrations()[:BEFORE_ONE_TABLE])
        await store.write(
            Statement("INSERT INTO introductions VALUES ('near', 'aGk=', 5)"),
            Statement("INSERT INTO introductions VALUES ('moved', 'aGk=', 5)"),
            Statement("INSERT INTO remote_engines VALUES ('far', 'there', 'aGVsbG8=')"),
            Statement("INSERT INTO remote_engines VALUES ('moved', 'there', 'aGVsbG8=')"),
            Statement("INSERT INTO remote_engines VALUES ('only held', '', '')"),
        )
        await migrate(store)
        assert await introductions.list_of_workers(store, 0) == {"near": b"hi"}
        for name in ("far", "moved"):
            assert await introductions.find_introduction(store, name, "there") == b"hello"
        # What is held for runs stays.
        held = await store.read("SELECT engine FROM remote_engines ORDER BY engine")
        assert [row["engine"] for row in held] == ["far", "moved", "only held"]
    finally:
        await store.close()
