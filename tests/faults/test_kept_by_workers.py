"""What is kept to be asked for again, over two workers: each has it, and a purge by one is a purge by all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import httpx2
import pytest

from plugins.tone.decode import decode
from tests.databases import Postgres
from tests.faults import test_cache, test_idempotency
from tests.faults.clusters import answered_by, metric, workers
from tests.faults.test_cache import TEXT, kinds, lookup
from tests.faults.test_idempotency import is_replay
from tests.redis_server import RedisServer
from tests.server import Server, running
from tests.sound import decoded
from tests.waiting import until

HITS = 'voxgate_cache_lookups_total{found="hit"}'


class Shared(NamedTuple):
    """A server of two workers, and the schema of its tables."""

    server: Server
    postgres: Postgres
    schema: str

    def select(self, sql: str) -> list[str]:
        return self.postgres.psql(sql.format(schema=self.schema))


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, shared_postgres: Postgres, shared_redis: RedisServer
) -> Iterator[Shared]:
    schema = shared_postgres.new_schema()
    environ = {
        "VOXGATE_STORAGE__URL": shared_postgres.url(search_path=schema),
        "VOXGATE_LIMITS__URL": shared_redis.url,
        "VOXGATE_SERVER__WORKERS": "2",
    }
    with running(tmp_path_factory.mktemp("server"), environ=environ) as server:
        yield Shared(server, shared_postgres, schema)


def test_an_idempotency_key_is_spoken_once_and_each_worker_has_the_answer(shared: Shared) -> None:
    made = shared.server.mint_key("keyed", plan="unlimited")
    server = shared.server._replace(key=made.secret)
    with ThreadPoolExecutor(12) as asking:
        answers = list(asking.map(lambda _: test_idempotency.ask(server, "tone/late"), range(12)))
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    asked = {line["worker"] for line in lines if line.get("route") == "/v1/audio/speech"}
    assert sorted(map(is_replay, answers)) == [False] + [True] * 11
    assert len({answer.content for answer in answers}) == 1
    assert len(asked) > 1
    assert shared.select(f"SELECT outcome FROM {{schema}}.usage WHERE key = '{made.id}'") == ["finished"]


def test_a_cached_text_is_spoken_once_and_each_worker_has_it(shared: Shared) -> None:
    server = shared.server
    before = metric(server, HITS)
    with ThreadPoolExecutor(12) as asking:
        answers = list(asking.map(lambda _: test_cache.ask(server, "tone/late"), range(12)))
    assert sorted(map(lookup, answers)) == ["hit"] * 11 + ["miss"]
    by_worker = {number: _ask_of(server, number) for number in workers(server)}
    assert {number: lookup(answer) for number, answer in by_worker.items()} == {0: "hit", 1: "hit"}
    assert len({answer.content for answer in (*answers, *by_worker.values())}) == 1
    assert metric(server, HITS) == before + 13


def _ask_of(server: Server, number: int) -> httpx2.Response:
    """The answer of one worker: the others are stopped while it is asked, so that none of them accepts."""
    others = [process for other, process in workers(server).items() if other != number]
    for process in others:
        process.suspend()
    try:
        answer = test_cache.ask(server, "tone/late")
    finally:
        for process in others:
            process.resume()
    assert answered_by(server, answer) == number
    return answer


def test_a_purge_by_one_worker_empties_the_folder_of_all(shared: Shared) -> None:
    server = shared.server._replace(key=shared.server.mint_key("purging", plan="unlimited").secret)
    others = kinds(server)

    def put_words(spoken_as: str) -> None:
        with server.client() as client:
            body = {"words": {"numbat": spoken_as}}
            assert client.put("/v1/lexicons/en", json=body).status_code == 200

    def kept() -> int:
        return len(shared.select("SELECT name FROM {schema}.clips"))

    before = kept()
    put_words("wombat")
    first = test_cache.ask(server)
    until(lambda: kinds(server) == [*others, "whole"])
    assert kept() == before + 1
    put_words("dingo")
    until(lambda: kinds(server) == others)
    assert kept() == before
    again = test_cache.ask(server)
    assert [lookup(first), lookup(again)] == ["miss", "miss"]
    # The other worker reads the words again within five seconds.
    until(lambda: _heard(test_cache.ask(server)) == TEXT.replace("numbat", "dingo"))


def _heard(answer: httpx2.Response) -> str:
    return " ".join(decode(*decoded(answer.content, "pcm")))
