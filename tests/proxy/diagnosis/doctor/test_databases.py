"""The databases: missing, damaged, of a newer version, away or closed; and a Redis that does not count."""

import asyncio
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from proxy.config.config_toml import Config
from proxy.config.finding import Finding
from proxy.diagnosis.doctor import databases, examination
from proxy.feature_list import open_store
from proxy.storage import postgres
from proxy.storage.schema import known_migrations
from proxy.storage.store import Statement
from tests.databases import Postgres
from tests.proxy.diagnosis.doctor.checks import configured, only
from tests.redis_server import RedisServer, redis_server
from tests.server import free_port
from tests.tables import each_row

pytestmark = pytest.mark.slow

_ADDS = "INSERT INTO schema_version (version, name, applied) VALUES (9998, 'tomorrow', 0)"
_NEWER = """
INSERT INTO schema_version (version, name, applied, readable_from) VALUES (9999, 'next year', 0, 9998)
"""


@pytest.fixture
async def used(tmp_path: Path) -> Config:
    """A configuration whose database has been opened once, and closed cleanly."""
    async with open_store("sqlite", tmp_path / "data"):
        pass
    return configured(tmp_path)


def the_file(loaded: Config) -> Path:
    return Path(loaded.data) / "voxgate.db"


def test_none_yet_is_fine_and_none_is_made(tmp_path: Path) -> None:
    assert "the first start makes it" in only(databases.database(configured(tmp_path))).found
    assert list(tmp_path.iterdir()) == [tmp_path / "config.toml"]


def test_a_database_of_this_version_is_fine_and_left_as_it_was(used: Config) -> None:
    before = {file: file.read_bytes() for file in Path(used.data).iterdir()}
    result = only(databases.database(used))
    assert (result.verdict, result.found) == ("ok", f"sqlite, schema {len(known_migrations())}")
    assert {file: file.read_bytes() for file in Path(used.data).iterdir()} == before


async def test_one_in_use_is_read_beside_its_server(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path / "data"):
        assert only(databases.database(configured(tmp_path))).verdict == "ok"


def test_an_empty_one_is_brought_up_to_date_later(tmp_path: Path) -> None:
    loaded = configured(tmp_path)
    the_file(loaded).parent.mkdir()
    the_file(loaded).touch()
    assert "schema 0; the next start brings it to" in only(databases.database(loaded)).found


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
        connection.execute(_ADDS)
        connection.commit()
        result = only(databases.database(used))
        assert (result.verdict, result.found) == ("ok", "sqlite, schema 9998, which is newer and works")
        connection.execute(_NEWER)
        connection.commit()
    result = only(databases.database(used))
    assert (result.verdict, "newer voxgate" in result.do) == ("wrong", True)
    assert f"has schema 9999, this voxgate knows schemas up to {len(known_migrations())}" in result.found


@each_row(
    ("version", "state"), [((3, 40, 1), "note"), ((3, 51, 2), "note"), ((3, 51, 3), "ok"), ((3, 53, 0), "ok")]
)
def test_an_old_sqlite_is_worth_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], state: str
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert only(databases.sqlite_version(configured(tmp_path))).verdict == state


def on_postgres(folder: Path, url: str) -> Config:
    return configured(folder, f'[storage]\nurl = "{url}"\n')


async def check_database(loaded: Config) -> Finding:
    """From a thread, as the command does it: the check runs a loop of its own."""
    return only(await asyncio.to_thread(lambda: list(databases.database(loaded))))


async def test_postgresql_is_asked_for_its_schema(tmp_path: Path, shared_postgres: Postgres) -> None:
    url = shared_postgres.url(search_path=shared_postgres.new_schema())
    loaded = on_postgres(tmp_path, url)
    assert list(databases.sqlite_version(loaded)) == []
    assert "schema 0; the next start brings it to" in (await check_database(loaded)).found
    async with open_store(url, tmp_path) as store:
        assert (await check_database(loaded)).found.endswith(f", schema {len(known_migrations())}")
        await store.write(Statement(_NEWER))
        newer = await check_database(loaded)
    assert (newer.verdict, "has schema 9999" in newer.found) == ("wrong", True)


async def test_a_wrong_password_is_wrong_and_not_shown(tmp_path: Path, shared_postgres: Postgres) -> None:
    result = await check_database(on_postgres(tmp_path, shared_postgres.url().replace("hunter2", "s3cret")))
    assert (result.verdict, "[storage] url" in result.do) == ("wrong", True)
    assert "s3cret" not in str(result)
    assert "authentication" in result.found


async def test_a_database_that_is_away_is_wrong(tmp_path: Path) -> None:
    url = f"postgresql://voxgate:s3cret@127.0.0.1:{free_port()}/voxgate"
    result = await check_database(on_postgres(tmp_path, url))
    assert (result.verdict, "cannot be reached" in result.found) == ("wrong", True)
    assert "s3cret" not in str(result)


@pytest.mark.clock
async def test_a_database_that_says_nothing_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "ANSWER_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://voxgate:s3cret@127.0.0.1:{silent.getsockname()[1]}/voxgate"
        async with asyncio.timeout(examination.DEADLINE_S):
            result = await check_database(on_postgres(tmp_path, url))
    assert result.verdict == "wrong"
    assert "did not answer" in result.found


def check_limits(folder: Path, url: str) -> Finding:
    return only(databases.limits(configured(folder, f"[limits]\nurl = '{url}'\n[engines.tone]\n")))


def test_limits_in_memory_have_no_finding(tmp_path: Path) -> None:
    assert list(databases.limits(configured(tmp_path))) == []


def test_a_redis_that_counts_is_fine_and_left_as_it_was(tmp_path: Path, shared_redis: RedisServer) -> None:
    result = check_limits(tmp_path, shared_redis.url)
    assert (result.what, result.verdict) == ("limits", "ok")
    assert result.found.startswith("Redis at /")
    with shared_redis.client() as client:
        assert client.exists("voxgate:doctor") == 0


def test_a_redis_that_is_away_is_wrong(tmp_path: Path) -> None:
    port = free_port()
    result = check_limits(tmp_path, f"redis://ada:s3cret@127.0.0.1:{port}/0")
    assert (result.verdict, result.found) == ("wrong", f"Redis at 127.0.0.1:{port}/0 cannot be reached")
    assert "[limits] url" in result.do
    assert "s3cret" not in str(result)


@pytest.mark.clock
def test_a_redis_that_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = check_limits(tmp_path, f"redis://127.0.0.1:{silent.getsockname()[1]}")
    assert (result.verdict, "did not answer within 0.2 s" in result.found) == ("wrong", True)


@pytest.fixture(scope="module")
def redis_with_password() -> Iterator[RedisServer]:
    with redis_server(
        "--user", "ada", "on", ">hunter2", "~voxgate:*", "+@all", "--user", "bob", "on", ">pw", "+ping"
    ) as server:
        yield server


def test_a_wrong_password_of_redis_is_wrong_and_not_shown(
    tmp_path: Path, redis_with_password: RedisServer
) -> None:
    path = redis_with_password.url.removeprefix("unix://")
    assert check_limits(tmp_path, f"unix://ada:hunter2@{path}").verdict == "ok"
    result = check_limits(tmp_path, f"unix://ada:s3cret@{path}")
    assert (result.verdict, "does not take this user and password" in result.found) == ("wrong", True)
    assert "s3cret" not in str(result)


def test_a_redis_user_who_may_not_count_is_wrong(tmp_path: Path, redis_with_password: RedisServer) -> None:
    result = check_limits(tmp_path, f"unix://bob:pw@{redis_with_password.url.removeprefix('unix://')}")
    assert (result.verdict, "does not count" in result.found) == ("wrong", True)
    assert "scripts" in result.do


@pytest.mark.parametrize(
    "setting", [("maxmemory", "1"), ("min-replicas-to-write", "1")], ids=["full", "without its replica"]
)
def test_a_redis_that_takes_no_writes_is_wrong(tmp_path: Path, setting: tuple[str, str]) -> None:
    with redis_server() as server:
        assert check_limits(tmp_path, server.url).verdict == "ok"
        with server.client() as client:
            client.config_set(*setting)
        result = check_limits(tmp_path, server.url)
    assert (result.verdict, "does not count" in result.found) == ("wrong", True)


def test_a_copy_of_a_redis_is_wrong(tmp_path: Path) -> None:
    with redis_server("--replicaof", "127.0.0.1", str(free_port())) as server:
        result = check_limits(tmp_path, server.url)
    assert (result.verdict, "does not count" in result.found) == ("wrong", True)
