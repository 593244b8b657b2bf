"""Migrations: applied once, each whole or not at all, never backwards."""

import asyncio
import re
from pathlib import Path

import msgspec
import pytest

from proxy.feature_list import all_tables, open_store
from proxy.storage import schema
from proxy.storage.postgres import migrating
from proxy.storage.schema import Migration, known_migrations, migrate, parse_migration
from proxy.storage.store import Statement, StorageBusy, StorageFailed, Store
from tests.proxy.storage.notes import names_in
from tests.tables import each_row
from tests.waiting import soon

KNOWN = len(known_migrations())
_FIRST = Migration(1, "first", ("CREATE TABLE one (id TEXT)", "INSERT INTO one VALUES ('kept')"))
_SECOND = Migration(2, "second", ("CREATE TABLE two (id TEXT)",))
_BROKEN = Migration(2, "broken", ("CREATE TABLE two (id TEXT)", "INSERT INTO nowhere VALUES (1)"))


async def versions(store: Store) -> list[int]:
    return [row["version"] for row in await store.read("SELECT version FROM schema_version ORDER BY version")]


async def test_each_migration_is_applied_once_and_in_order(bare: Store) -> None:
    assert await migrate(bare, [_FIRST]) == 1
    assert await migrate(bare, [_FIRST]) == 1
    assert await migrate(bare, [_FIRST, _SECOND]) == 2
    assert await versions(bare) == [1, 2]
    assert await bare.read("SELECT id FROM one") == [{"id": "kept"}]


async def test_a_migration_that_fails_leaves_no_trace_and_can_be_tried_again(bare: Store) -> None:
    await migrate(bare, [_FIRST])
    with pytest.raises(StorageFailed):
        await migrate(bare, [_FIRST, _BROKEN])
    assert await versions(bare) == [1]
    await migrate(bare, [_FIRST, _SECOND])
    assert await versions(bare) == [1, 2]


async def test_a_database_from_a_newer_version_is_refused_and_left_alone(
    store_url: str, tmp_path: Path
) -> None:
    newer = Statement(
        "INSERT INTO schema_version (version, name, applied, readable_from) VALUES (99, 'later', 0, 98)"
    )
    async with open_store(store_url, tmp_path) as store:
        await store.write(newer)
    with pytest.raises(StorageFailed, match=r"schema version 99, .* start the newer voxgate again"):
        async with open_store(store_url, tmp_path):
            pytest.fail("it opened")


async def test_an_older_version_works_on_a_newer_database_until_something_is_removed(bare: Store) -> None:
    adds = Migration(KNOWN + 1, "adds", ("CREATE TABLE added (id TEXT)",))
    removes = Migration(KNOWN + 2, "removes", ("DROP TABLE added",), readable_from=KNOWN + 1)
    older, newer, newest = (
        known_migrations(),
        [*known_migrations(), adds],
        [*known_migrations(), adds, removes],
    )
    assert await migrate(bare, older) == KNOWN
    assert await migrate(bare, newer) == KNOWN + 1
    assert await migrate(bare, older) == KNOWN + 1
    assert await migrate(bare, newest) == KNOWN + 2
    assert await migrate(bare, newer) == KNOWN + 2
    says = f"schema version {KNOWN + 2}, this voxgate knows versions up to {KNOWN}"
    with pytest.raises(StorageFailed, match=says):
        await migrate(bare, older)


async def test_a_server_that_must_not_migrate_names_the_command(bare: Store) -> None:
    await migrate(bare, [_FIRST])
    assert await migrate(bare, [_FIRST], applies=False) == 1
    with pytest.raises(
        StorageFailed, match=r"schema version 1, and this voxgate needs 2; run voxgate database upgrade"
    ):
        await migrate(bare, [_FIRST, _SECOND], applies=False)
    assert await versions(bare) == [1]


_INDEX = parse_migration("0002_an_index.sql", "-- Many look.\nCREATE INDEX CONCURRENTLY by_id ON one (id);\n")


async def test_an_index_on_an_older_table_is_made_while_others_write(bare: Store) -> None:
    await migrate(bare, [_FIRST])
    if bare.is_shared:
        # An earlier try was killed.
        await bare.write(Statement("CREATE INDEX by_id ON one (id)"))
        await bare.write(
            Statement("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_id'::regclass")
        )
    assert await migrate(bare, [_FIRST, _INDEX]) == 2
    if bare.is_shared:
        valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_id'::regclass"
        assert await bare.read(valid) == [{"indisvalid": True}]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
async def test_a_second_server_that_starts_does_not_hold_up_an_index(store_url: str) -> None:
    async def start() -> int:
        async with migrating(store_url) as patient:
            return await migrate(
                patient, [*known_migrations(), msgspec.structs.replace(_INDEX, version=KNOWN + 1)]
            )

    with pytest.raises(StorageFailed, match='relation "one" does not exist'):
        await start()
    async with migrating(store_url) as patient:
        await patient.write(Statement("CREATE TABLE one (id TEXT)"))
    async with asyncio.timeout(30):
        assert {*await asyncio.gather(start(), start(), start())} == {KNOWN + 1}


@pytest.mark.parametrize("new_store_url", ["postgresql"], indirect=True)
async def test_a_migration_does_not_let_requests_queue_behind_its_lock(
    bare: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_SHORT_LOCK_TIMEOUT", Statement("SET LOCAL lock_timeout = '20ms'"))
    monkeypatch.setattr(schema, "_LOCK_AGAIN_S", 0.02)
    await migrate(bare, [_FIRST])
    adds = Migration(2, "adds", ("ALTER TABLE one ADD COLUMN two TEXT NOT NULL DEFAULT ''",))
    reading = asyncio.create_task(
        bare.write(Statement("SELECT id FROM one"), Statement("SELECT pg_sleep(0.6)"))
    )
    await soon(lambda: bare.read("SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(0.6)'"))
    with monkeypatch.context() as once:
        once.setattr(schema, "_LOCK_TRIES", 1)
        with pytest.raises(StorageBusy) as busy:
            await migrate(bare, [_FIRST, adds])
    assert busy.value.is_transient
    migrating_ = asyncio.create_task(migrate(bare, [_FIRST, adds]))
    while not reading.done():
        assert await bare.read("SELECT id FROM one") == [{"id": "kept"}]
    assert await migrating_ == 2


async def test_a_row_that_was_stored_is_there_when_the_store_opens_again(
    store_url: str, tmp_path: Path
) -> None:
    async with open_store(store_url, tmp_path) as store:
        reached = await versions(store)
        await store.write(
            Statement("INSERT INTO accounts (id, name, plan, created) VALUES ('acc_1', 'a', 'free', 0)")
        )
    async with open_store(store_url, tmp_path) as store:
        assert await versions(store) == reached == [migration.version for migration in known_migrations()]
        assert await store.read("SELECT name FROM accounts") == [{"name": "a"}]


def test_a_file_is_cut_at_semicolons_that_end_a_line() -> None:
    text = "-- a comment;\nCREATE TABLE a (\n    id TEXT DEFAULT ';x'\n);\n\nDROP TABLE b;\n"
    migration = parse_migration("0007_some_words.sql", text)
    assert migration == Migration(
        7, "some_words", ("CREATE TABLE a (\n    id TEXT DEFAULT ';x'\n)", "DROP TABLE b")
    )


def test_a_file_with_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0001_what_it_brings"):
        parse_migration("first.sql", "SELECT 1;")


@each_row("url", ["", "mysql://u:hunter2@db/vg", "sqlite:///somewhere"])
async def test_an_unknown_url_is_refused_before_anything_is_created(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'"sqlite" or "postgresql://') as caught:
        async with open_store(url, tmp_path):
            pytest.fail("it opened")
    assert "hunter2" not in str(caught.value)
    assert names_in(tmp_path) == []


async def test_each_table_says_what_others_must_know_of_it(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store:
        rows = await store.read("SELECT name FROM sqlite_schema WHERE type = 'table'")
    named = [table.name for table in all_tables()]
    assert sorted(row["name"] for row in rows if not row["name"].startswith("sqlite_")) == sorted(named)


def test_migrations_of_features_are_numbered_with_those_of_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "storage" / "migrations").mkdir(parents=True)
    (tmp_path / "storage" / "migrations" / "0001_one.sql").write_text("CREATE TABLE one (id TEXT);")
    (tmp_path / "features" / "two" / "migrations").mkdir(parents=True)
    (tmp_path / "features" / "two" / "migrations" / "0002_two.sql").write_text("CREATE TABLE two (id TEXT);")
    (tmp_path / "features" / "none").mkdir()
    monkeypatch.setattr("proxy.storage.schema.resources.files", lambda _package: tmp_path)
    assert [file.name for file in schema._files()] == ["0001_one.sql", "0002_two.sql"]


_COLUMN = re.compile(
    r"ALTER TABLE \w+ ADD COLUMN \w+ \w+( DEFAULT (NULL|-?\d+|'[^']*')| NOT NULL(?= DEFAULT))*"
)
_PLAIN = re.compile(r"(?:CREATE (?:UNIQUE )?INDEX \w+\s+ON|INSERT INTO) (\w+)")
_TABLE = re.compile(r"CREATE TABLE (\w+)")
LAST_FREE = 35
"""The last migration before the rule."""


def breaking(migration: Migration) -> list[str]:
    """The statements with which an older version may not work, or for which its requests would wait."""
    own = {match[1] for each in migration.statements if (match := _TABLE.match(each))}
    is_alone = bool(migration.concurrent_index) and len(migration.statements) == 1
    return [
        each
        for each in migration.statements
        if not (is_alone or _TABLE.match(each) or _COLUMN.fullmatch(each))
        and not ((match := _PLAIN.match(each)) and match[1] in own)
    ]


def test_migrations_only_add_or_name_the_oldest_version_that_works() -> None:
    later = [migration for migration in known_migrations()[LAST_FREE:] if not migration.readable_from]
    assert {migration.name: found for migration in later if (found := breaking(migration))} == {}


@each_row(
    ["statement", "is_fine"],
    [
        ("CREATE TABLE two (id TEXT NOT NULL)", True),
        (
            "CREATE TABLE two (id TEXT);\nCREATE UNIQUE INDEX by_id ON two (id);\nINSERT INTO two VALUES (1)",
            True,
        ),
        ("CREATE INDEX CONCURRENTLY by_id ON one (id)", True),
        ("ALTER TABLE one ADD COLUMN two TEXT", True),
        ("ALTER TABLE one ADD COLUMN two BIGINT NOT NULL DEFAULT 0", True),
        ("ALTER TABLE one ADD COLUMN two TEXT NOT NULL", False),
        ("ALTER TABLE one ADD COLUMN two TEXT UNIQUE", False),
        ("ALTER TABLE one ADD COLUMN two TEXT DEFAULT '', DROP COLUMN id", False),
        ("CREATE INDEX by_id ON one (id)", False),
        ("CREATE UNIQUE INDEX CONCURRENTLY by_id ON one (id)", False),
        ("CREATE TABLE two (id TEXT);\nCREATE INDEX CONCURRENTLY by_id ON one (id)", False),
        ("DROP TABLE one", False),
        ("DROP INDEX by_id", False),
        ("ALTER TABLE one RENAME TO two", False),
        ("ALTER TABLE one ALTER COLUMN id TYPE BIGINT", False),
        ("UPDATE one SET id = ''", False),
        ("DELETE FROM one", False),
        ("INSERT INTO one VALUES (1)", False),
    ],
)
def test_what_a_migration_may_do(statement: str, is_fine: bool) -> None:
    assert (not breaking(parse_migration("0099_test.sql", f"{statement};\n"))) == is_fine
    assert parse_migration("0099_test.sql", f"-- readable_from: 98\n{statement};\n").readable_from == 98
