"""Databases that are not there, damaged, of a newer version, away or closed to us."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from proxy.config.config_toml import Config
from proxy.diagnosis.doctor import databases, examination
from proxy.diagnosis.finding import Finding
from proxy.storage import open_store
from proxy.storage.schema import shipped
from proxy.storage.store import Statement
from tests.databases import Postgres
from tests.proxy.diagnosis.doctor.asked import configured, only
from tests.server import free_port

_NEWER = "INSERT INTO schema_version (version, name, applied) VALUES (9999, 'tomorrow', 0)"


@pytest.fixture
async def used(tmp_path: Path) -> Config:
    """A configuration whose database has been opened once, and closed cleanly."""
    async with open_store("sqlite", tmp_path / "data"):
        pass
    return configured(tmp_path)


def the_file(loaded: Config) -> Path:
    return Path(loaded.data) / "voxgate.db"


def test_none_yet_is_fine_and_none_is_made(tmp_path: Path) -> None:
    assert "made at the first start" in only(databases.database(configured(tmp_path))).found
    assert list(tmp_path.iterdir()) == [tmp_path / "config.toml"]


def test_a_database_of_this_version_is_fine_and_left_as_it_was(used: Config) -> None:
    before = {file: file.read_bytes() for file in Path(used.data).iterdir()}
    result = only(databases.database(used))
    assert (result.verdict, result.found) == ("ok", f"sqlite, schema {len(shipped())}")
    assert {file: file.read_bytes() for file in Path(used.data).iterdir()} == before


async def test_one_in_use_is_read_beside_its_server(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path / "data"):
        assert only(databases.database(configured(tmp_path))).verdict == "ok"


def test_an_empty_one_is_brought_up_to_date_later(tmp_path: Path) -> None:
    loaded = configured(tmp_path)
    the_file(loaded).parent.mkdir()
    the_file(loaded).touch()
    assert "schema 0, brought to" in only(databases.database(loaded)).found


@pytest.mark.parametrize("content", [b"this is no database. " * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_wrong(tmp_path: Path, content: bytes) -> None:
    loaded = configured(tmp_path)
    the_file(loaded).parent.mkdir()
    the_file(loaded).write_bytes(content)
    result = only(databases.database(loaded))
    assert (result.verdict, "backup" in result.do) == ("wrong", True)
    assert "database" in result.found


def test_a_damaged_one_is_wrong(used: Config) -> None:
    with closing(sqlite3.connect(the_file(used))) as connection:
        page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
        root = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'usage'").fetchone()[0]
    with the_file(used).open("r+b") as file:
        file.seek((root - 1) * page_bytes)
        file.write(b"\xff" * page_bytes)
    assert "wrong" in {result.verdict for result in databases.database(used)}


def test_one_of_a_newer_version_is_wrong(used: Config) -> None:
    with closing(sqlite3.connect(the_file(used))) as connection:
        connection.execute(_NEWER)
        connection.commit()
    result = only(databases.database(used))
    assert (result.verdict, "newer voxgate" in result.do) == ("wrong", True)
    assert f"has schema 9999, this voxgate knows schemas up to {len(shipped())}" in result.found


@pytest.mark.parametrize(
    ("version", "state"), [((3, 40, 1), "note"), ((3, 51, 2), "note"), ((3, 51, 3), "ok"), ((3, 53, 0), "ok")]
)
def test_an_old_sqlite_is_worth_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], state: str
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert only(databases.sqlite_version(configured(tmp_path))).verdict == state


def on_postgres(folder: Path, url: str) -> Config:
    return configured(folder, f'[storage]\nurl = "{url}"\n')


async def asked(loaded: Config) -> Finding:
    """From a thread, as the command does it: the check runs a loop of its own."""
    return only(await asyncio.to_thread(lambda: list(databases.database(loaded))))


async def test_postgresql_is_asked_for_its_schema(tmp_path: Path, shared_postgres: Postgres) -> None:
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    loaded = on_postgres(tmp_path, url)
    assert list(databases.sqlite_version(loaded)) == []
    assert "schema 0, brought to" in (await asked(loaded)).found
    async with open_store(url, tmp_path) as store:
        assert (await asked(loaded)).found.endswith(f", schema {len(shipped())}")
        await store.write(Statement(_NEWER))
        newer = await asked(loaded)
    assert (newer.verdict, "has schema 9999" in newer.found) == ("wrong", True)


async def test_a_wrong_password_is_wrong_and_not_shown(tmp_path: Path, shared_postgres: Postgres) -> None:
    result = await asked(on_postgres(tmp_path, shared_postgres.url().replace("hunter2", "s3cret")))
    assert (result.verdict, "[storage] url" in result.do) == ("wrong", True)
    assert "s3cret" not in str(result)
    assert "authentication" in result.found


async def test_a_database_that_is_away_is_wrong(tmp_path: Path) -> None:
    url = f"postgresql://voxgate:s3cret@127.0.0.1:{free_port()}/voxgate"
    result = await asked(on_postgres(tmp_path, url))
    assert (result.verdict, "cannot be reached" in result.found) == ("wrong", True)
    assert "s3cret" not in str(result)


async def test_a_database_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://voxgate:s3cret@127.0.0.1:{silent.getsockname()[1]}/voxgate"
        async with asyncio.timeout(examination.DEADLINE_S):
            result = await asked(on_postgres(tmp_path, url))
    assert result.verdict == "wrong"
    assert "did not answer" in result.found
