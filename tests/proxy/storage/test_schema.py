"""Migrations: applied once, each whole or not at all, never backwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.features.all import all_tables, open_store
from proxy.storage import schema
from proxy.storage.schema import Migration, migrate, parse, shipped
from proxy.storage.store import Statement, StorageFailed, Store
from tests.proxy.storage.notes import names_in
from tests.tables import each_row

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
    newer = Statement("INSERT INTO schema_version (version, name, applied) VALUES (99, 'later', 0)")
    async with open_store(store_url, tmp_path) as store:
        await store.write(newer)
    with pytest.raises(StorageFailed, match=r"schema version 99, .* start the newer voxgate again"):
        async with open_store(store_url, tmp_path):
            pytest.fail("it opened")


async def test_a_row_that_was_stored_is_there_when_the_store_opens_again(
    store_url: str, tmp_path: Path
) -> None:
    async with open_store(store_url, tmp_path) as store:
        reached = await versions(store)
        await store.write(
            Statement("INSERT INTO accounts (id, name, plan, created) VALUES ('acc_1', 'a', 'free', 0)")
        )
    async with open_store(store_url, tmp_path) as store:
        assert await versions(store) == reached == [migration.version for migration in shipped()]
        assert await store.read("SELECT name FROM accounts") == [{"name": "a"}]


def test_a_file_is_cut_at_semicolons_that_end_a_line() -> None:
    text = "-- a comment;\nCREATE TABLE a (\n    id TEXT DEFAULT ';x'\n);\n\nDROP TABLE b;\n"
    migration = parse("0007_some_words.sql", text)
    assert migration == Migration(
        7, "some_words", ("CREATE TABLE a (\n    id TEXT DEFAULT ';x'\n)", "DROP TABLE b")
    )


def test_a_file_with_another_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0001_what_it_brings"):
        parse("first.sql", "SELECT 1;")


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
