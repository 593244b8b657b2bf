"""What only the PostgreSQL store promises: units that survive a quarrel, and callers who never hang."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.feature_list import all_tables
from proxy.features.cluster.connections import connections_note
from proxy.storage.postgres import CONNECTIONS, PostgresStore, migrating, pool_sizes
from proxy.storage.schema import Migration, migrate
from proxy.storage.store import MissingReference, Row, Statement, StorageFailed, StorageUnreachable
from tests.databases import Postgres
from tests.proxy.file_store.owned import add_voice
from tests.proxy.storage.notes import NOTES, note
from tests.tables import each_row

READERS, WRITERS, _ = pool_sizes(CONNECTIONS)
IMPATIENT_S = 0.3
"""So long may an answer take in tests that wait for one in vain."""

NAP = Statement("SELECT pg_sleep(0.1)")

_WITHOUT_DEAD_ROWS = """
SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
AND reltuples >= 0
"""
_TIMEOUT = Statement("SELECT current_setting('statement_timeout') AS timeout, pg_sleep(0.1)")


@pytest.fixture
def schema_url(shared_postgres: Postgres) -> str:
    return shared_postgres.url(search_path=shared_postgres.new_schema(), deadlock_timeout="20ms")


@pytest.fixture
async def notes(schema_url: str) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(schema_url)
    await store.write(NOTES)
    await store.write(note("a"), note("b"))
    yield store
    await store.close()


@pytest.fixture
async def impatient(notes: PostgresStore, schema_url: str) -> AsyncIterator[PostgresStore]:
    store = await PostgresStore.open(schema_url, IMPATIENT_S)
    yield store
    await store.close()


def change(id_: str, text: str) -> Statement:
    return Statement("UPDATE notes SET text = text || :text WHERE id = :id", {"id": id_, "text": text})


async def texts(store: PostgresStore) -> list[str]:
    return [row["text"] for row in await store.read("SELECT text FROM notes ORDER BY id")]


async def test_units_that_block_each_other_are_both_carried_out_once(notes: PostgresStore) -> None:
    # Each holds what the other wants, so the server ends one of them.
    await asyncio.gather(
        notes.write(change("a", "1"), NAP, change("b", "1")),
        notes.write(change("b", "2"), NAP, change("a", "2")),
    )
    assert [sorted(text) for text in await texts(notes)] == [["1", "2"], ["1", "2"]]


async def test_a_unit_outlives_a_table_that_has_changed_under_it(
    notes: PostgresStore, shared_postgres: Postgres
) -> None:
    look = Statement("SELECT * FROM notes WHERE id = 'a'")
    await asyncio.gather(*(notes.write(look, NAP) for _ in range(WRITERS)))
    await notes.write(Statement("ALTER TABLE notes ADD COLUMN more TEXT"))
    (row,), _ = await notes.write(look, note("c"))
    assert row == {"id": "a", "text": "", "more": None}


@pytest.mark.parametrize("together", [True, False])
async def test_a_commit_that_fails_is_not_taken_for_one(notes: PostgresStore, together: bool) -> None:
    await notes.write(
        Statement("CREATE TABLE late (note TEXT REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)")
    )
    broken = Statement("INSERT INTO late VALUES (:note)", {"note": "nowhere"})
    with pytest.raises(MissingReference) as caught:
        await (notes.write(note("c"), broken) if together else notes.write(broken))
    assert "nowhere" not in str(caught.value)
    assert await texts(notes) == ["", ""]
    assert await notes.read("SELECT * FROM late") == []


async def test_a_write_that_a_check_refuses_is_not_repeated(notes: PostgresStore) -> None:
    await notes.write(Statement("ALTER TABLE notes ADD CHECK (text <> 'hunter2')"))
    with pytest.raises(StorageFailed, match="violates check constraint") as caught:
        await notes.write(note("c", "hunter2"))
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


async def test_an_answer_that_does_not_come_is_a_failure_and_the_store_goes_on(
    impatient: PostgresStore,
) -> None:
    async with asyncio.timeout(5):
        for ask in (impatient.read("SELECT pg_sleep(60)"), impatient.write(Statement("SELECT pg_sleep(60)"))):
            with pytest.raises(StorageUnreachable, match=r"did not answer within 0\.3 s"):
                await ask
    await impatient.write(note("c"))
    assert len(await texts(impatient)) == 3


async def test_writes_that_wait_for_a_lock_hold_no_reader_up(
    notes: PostgresStore, impatient: PostgresStore
) -> None:
    locked = asyncio.create_task(notes.write(change("a", "1"), Statement("SELECT pg_sleep(1)")))
    while not await notes.read("SELECT 1 FROM pg_locks WHERE locktype = 'transactionid'"):
        pass
    waiting = [asyncio.create_task(impatient.write(change("a", "2"))) for _ in range(2 * WRITERS)]
    await asyncio.sleep(0)
    assert await texts(impatient) == ["", ""]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StorageUnreachable}
    await locked
    assert await texts(impatient) == ["1", ""]


async def test_readers_that_are_cancelled_give_their_connections_back(notes: PostgresStore) -> None:
    running = Statement("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT 1, pg_sleep(9)'")
    asking = [asyncio.create_task(notes.read("SELECT 1, pg_sleep(9)")) for _ in range(READERS)]
    while len((await notes.write(running))[0]) < READERS:
        pass
    for task in asking:
        task.cancel()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(answer) for answer in answers} == {asyncio.CancelledError}
    async with asyncio.timeout(2):
        assert await texts(notes) == ["", ""]


async def test_a_long_read_may_take_longer_and_not_for_ever(impatient: PostgresStore) -> None:
    with pytest.raises(StorageUnreachable):
        await impatient.read(f"SELECT pg_sleep({2 * IMPATIENT_S})")
    assert len(await impatient.read_long(f"SELECT pg_sleep({2 * IMPATIENT_S})")) == 1
    with pytest.raises(StorageUnreachable):
        await impatient.read_long("SELECT pg_sleep(9)")


async def test_one_of_many_that_migrate_at_once_does_it(schema_url: str) -> None:
    slow = Migration(1, "slow", ("CREATE TABLE one (id TEXT)", "SELECT pg_sleep(0.1)"))

    async def start() -> int:
        async with migrating(schema_url) as store:
            return await migrate(store, [slow])

    assert await asyncio.gather(*(start() for _ in range(6))) == [1] * 6
    store = await PostgresStore.open(schema_url)
    assert len(await store.read("SELECT * FROM schema_version")) == 1
    await store.close()


async def test_a_migration_may_take_longer_than_an_answer(
    schema_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.storage.postgres.ANSWER_S", IMPATIENT_S)
    slow = Migration(1, "slow", (f"SELECT pg_sleep({2 * IMPATIENT_S})",))
    async with migrating(schema_url) as store:
        assert await migrate(store, [slow]) == 1


@each_row(
    ("wrong", "reason", "passes"),
    [
        ((":hunter2@", ":swordfish@"), "password authentication failed", False),
        (("/postgres?", "/nowhere?"), 'database "nowhere" does not exist', False),
        (("host=/", "host=/nowhere/"), "No such file or directory", True),
        (("host=", "port=x&host="), "is no address that can be used", False),
        (("host=", "sslmode=hunter2&host="), "is no address that can be used", False),
    ],
)
async def test_a_store_that_cannot_connect_says_where_and_why_but_no_password(
    shared_postgres: Postgres, wrong: tuple[str, str], reason: str, passes: bool
) -> None:
    url = shared_postgres.url().replace(*wrong)
    assert url != shared_postgres.url()
    with pytest.raises(StorageFailed, match=reason) as caught:
        await PostgresStore.open(url)
    assert isinstance(caught.value, StorageUnreachable) is passes
    assert "hunter2" not in str(caught.value)
    assert "swordfish" not in str(caught.value)
    assert caught.value.__suppress_context__


async def test_what_people_owned_leaves_the_tables_when_it_is_forgotten(schema_url: str) -> None:
    async with migrating(schema_url) as migrated:
        await migrate(migrated)
    store = await PostgresStore.open(schema_url, tables=all_tables())
    try:
        await add_voice(store, "acc_a", "d1")
        await store.write(Statement("DELETE FROM samples"), Statement("DELETE FROM voices"))
        assert not await store.read(_WITHOUT_DEAD_ROWS)
        timeouts = {row["timeout"] for row in await _of_each_writer(store)}
        assert await store.forget_deleted()
        forgotten = {row["relname"] for row in await store.read(_WITHOUT_DEAD_ROWS)}
        assert forgotten == {table.name for table in all_tables() if table.personal}
        assert forgotten >= {"voices", "samples", "blobs", "consents", "account_keys"}
        assert forgotten >= {"bindings", "clips", "audit"}
        # Deletions may take minutes, and what comes after them may not.
        assert {row["timeout"] for row in await _of_each_writer(store)} == timeouts
    finally:
        await store.close()


async def _of_each_writer(store: PostgresStore) -> list[Row]:
    answers = await asyncio.gather(*(store.write(_TIMEOUT) for _ in range(WRITERS)))
    return [row for ((row,),) in answers]


async def test_a_repr_shows_where_and_how_much_but_no_password(notes: PostgresStore) -> None:
    writing = asyncio.create_task(notes.write(note("c")))
    await asyncio.sleep(0)
    assert repr(notes).endswith("/postgres, 1 being written>")
    await writing
    await notes.close()
    assert repr(notes).endswith("/postgres, closed>")
    assert "hunter2" not in repr(notes)


def test_so_many_connections_as_are_configured_are_shared_by_three_pools() -> None:
    assert pool_sizes(14) == (4, 8, 2)
    assert all(min(pool_sizes(most)) >= 1 and sum(pool_sizes(most)) == most for most in range(6, 1001))


async def test_more_connections_than_the_server_has_are_named(notes: PostgresStore) -> None:
    assert await connections_note(notes, 16, 5) == ""
    assert "6 worker(s) may open 96 connections, and PostgreSQL's max_connections is 100" in (
        await connections_note(notes, 16, 6)
    )
