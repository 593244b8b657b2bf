"""What is kept to be asked for again, over two workers: each has it, and a purge by one is a purge by all."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from plugins.tone.decode import decode
from tests.faults import test_cache, test_idempotency
from tests.faults.clusters import Cluster, answered_by, metric, workers
from tests.faults.test_cache import TEXT, kinds, lookup
from tests.faults.test_idempotency import is_replay
from tests.server import Server
from tests.sound import decoded
from tests.waiting import until

pytestmark = pytest.mark.slow

HITS = 'voxgate_cache_lookups_total{found="hit"}'


def test_an_idempotency_key_is_spoken_once_and_each_worker_has_the_answer(cluster: Cluster) -> None:
    made = cluster.server.mint_key("keyed", plan="unlimited")
    server = cluster.server._replace(key=made.secret)
    with ThreadPoolExecutor(12) as asking:
        answers = list(asking.map(lambda _: test_idempotency.ask(server, "tone/late"), range(12)))
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    asked = {line["worker"] for line in lines if line.get("route") == "/v1/audio/speech"}
    assert sorted(map(is_replay, answers)) == [False] + [True] * 11
    assert len({answer.content for answer in answers}) == 1
    assert len(asked) > 1
    assert cluster.postgres.psql(f"SELECT outcome FROM usage WHERE key = '{made.id}'") == ["finished"]


def test_a_cached_text_is_spoken_once_and_each_worker_has_it(cluster: Cluster) -> None:
    server = cluster.server
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


def test_a_purge_by_one_worker_empties_the_folder_of_all(cluster: Cluster) -> None:
    server = cluster.server._replace(key=cluster.server.mint_key("purging", plan="unlimited").secret)
    others = kinds(server)

    def put_words(spoken_as: str) -> None:
        with server.client() as client:
            body = {"words": {"numbat": spoken_as}}
            assert client.put("/v1/lexicons/en", json=body).status_code == 200

    def kept() -> int:
        return len(cluster.postgres.psql("SELECT name FROM clips"))

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
