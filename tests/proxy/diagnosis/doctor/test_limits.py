"""A Redis that counts, and those that are away, silent, closed to us, a copy, or full."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.diagnosis.doctor import databases
from proxy.diagnosis.finding import Finding
from tests.proxy.diagnosis.doctor.asked import configured, only
from tests.redis_server import RedisServer, redis_server
from tests.server import free_port


def asked(folder: Path, url: str) -> Finding:
    return only(databases.limits(configured(folder, f"[limits]\nurl = '{url}'\n[engines.tone]\n")))


def test_memory_has_nothing_to_look_at(tmp_path: Path) -> None:
    assert list(databases.limits(configured(tmp_path))) == []


def test_one_that_counts_is_fine_and_left_as_it_was(tmp_path: Path, shared_redis: RedisServer) -> None:
    result = asked(tmp_path, shared_redis.url)
    assert (result.what, result.verdict) == ("limits", "ok")
    assert result.found.startswith("Redis at /")
    with shared_redis.client() as client:
        assert client.exists("voxgate:doctor") == 0


def test_one_that_is_away_is_wrong(tmp_path: Path) -> None:
    port = free_port()
    result = asked(tmp_path, f"redis://ada:s3cret@127.0.0.1:{port}/0")
    assert (result.verdict, result.found) == ("wrong", f"Redis at 127.0.0.1:{port}/0 cannot be reached")
    assert "[limits] url" in result.do
    assert "s3cret" not in str(result)


def test_one_that_says_nothing_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        result = asked(tmp_path, f"redis://127.0.0.1:{silent.getsockname()[1]}")
    assert (result.verdict, "did not answer within 0.2 s" in result.found) == ("wrong", True)


@pytest.fixture(scope="module")
def closed() -> Iterator[RedisServer]:
    with redis_server(
        "--user", "ada", "on", ">hunter2", "~voxgate:*", "+@all", "--user", "bob", "on", ">pw", "+ping"
    ) as server:
        yield server


def test_a_wrong_password_is_wrong_and_not_shown(tmp_path: Path, closed: RedisServer) -> None:
    path = closed.url.removeprefix("unix://")
    assert asked(tmp_path, f"unix://ada:hunter2@{path}").verdict == "ok"
    result = asked(tmp_path, f"unix://ada:s3cret@{path}")
    assert (result.verdict, "does not take this user and password" in result.found) == ("wrong", True)
    assert "s3cret" not in str(result)


def test_a_user_who_may_not_count_is_wrong(tmp_path: Path, closed: RedisServer) -> None:
    result = asked(tmp_path, f"unix://bob:pw@{closed.url.removeprefix('unix://')}")
    assert (result.verdict, "does not count" in result.found) == ("wrong", True)
    assert "scripts" in result.do


@pytest.mark.parametrize(
    "setting", [("maxmemory", "1"), ("min-replicas-to-write", "1")], ids=["full", "without its replica"]
)
def test_one_that_takes_no_writes_is_wrong(tmp_path: Path, setting: tuple[str, str]) -> None:
    with redis_server() as server:
        assert asked(tmp_path, server.url).verdict == "ok"
        with server.client() as client:
            client.config_set(*setting)
        result = asked(tmp_path, server.url)
    assert (result.verdict, "does not count" in result.found) == ("wrong", True)


def test_a_copy_is_wrong(tmp_path: Path) -> None:
    with redis_server("--replicaof", "127.0.0.1", str(free_port())) as server:
        result = asked(tmp_path, server.url)
    assert (result.verdict, "does not count" in result.found) == ("wrong", True)
