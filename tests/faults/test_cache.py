"""The audio cache on a real server: many at once, workers that are killed while they write, and restarts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from plugins.tone.decode import decode
from tests.databases import Postgres
from tests.faults.clusters import answered_by, workers
from tests.faults.processes import kill, until, usage_rows, worker
from tests.faults.streams import stream
from tests.redis_server import RedisServer
from tests.server import Server, running
from tests.sound import decoded

TEXT = "Said once, by the numbat."
LONG = "word " * 800
"""Minutes of it: the server cannot get rid of it all to a client that does not read."""


def _ask(server: Server, voice: str = "tone/tone", text: str = TEXT) -> httpx2.Response:
    body = {"model": "tts-1", "voice": voice, "input": text, "response_format": "pcm", "cache": True}
    with server.client() as client:
        # A connection of its own each time, so that any worker may get it.
        answer = client.post("/v1/audio/speech", json=body, headers={"connection": "close"})
    assert answer.status_code == 200, answer.text
    return answer


def _found(answer: httpx2.Response) -> str:
    return str(answer.headers["x-voxgate-cache"])


def _kinds(server: Server) -> list[str]:
    """What lies in the folder, by how it ends."""
    return sorted(path.suffix or "whole" for path in (server.data / "cache").glob("*"))


def test_a_hundred_at_once_are_spoken_once(folder: Path) -> None:
    with running(folder) as server:
        with ThreadPoolExecutor(100) as asking:
            answers = list(asking.map(lambda _: _ask(server), range(100)))
        log = server.log.read_text()
        page = httpx2.get(server.metrics).text
    assert sorted(map(_found, answers)) == ["hit"] * 99 + ["miss"]
    assert len({answer.content for answer in answers}) == 1
    assert " ".join(decode(*decoded(answers[0].content, "pcm"))) == TEXT
    rows = usage_rows(server).values()
    assert sorted(row.cache for row in rows) == ["hit"] * 99 + ["miss"]
    seconds = len(answers[0].content) / 2 / 24_000
    assert f'voxgate_speech_seconds_total{{engine="tone",model="standard"}} {seconds}' in page
    assert "numbat" not in log


def test_a_worker_killed_while_it_writes_leaves_no_half_clip(folder: Path) -> None:
    with running(folder) as server:
        with stream(server, "tone/tone", LONG, cache=True) as begun:
            begun.read(300_000)
            until(lambda: _kinds(server) == [".lock", ".part"])
            kill(worker(server))
        until(lambda: not _kinds(server))
        answers = [_ask(server, text=LONG) for _ in range(2)]
        until(lambda: _kinds(server) == ["whole"])
    assert begun.headers["x-voxgate-cache"] == "miss"
    assert [_found(answer) for answer in answers] == ["miss", "hit"]
    assert answers[0].content == answers[1].content
    assert answers[1].content.startswith(begun.pcm)
    assert len(answers[1].content) > 4_000_000


def test_a_restart_keeps_what_may_be_asked_for_again(folder: Path) -> None:
    with running(folder) as server:
        first = _ask(server)
    with running(folder) as server:
        again = _ask(server)
    assert [_found(first), _found(again)] == ["miss", "hit"]
    assert first.content == again.content


def test_several_workers_speak_it_once_and_each_has_it(
    folder: Path, shared_postgres: Postgres, shared_redis: RedisServer
) -> None:
    environ = {
        "VOXGATE_STORAGE__URL": shared_postgres.url(search_path=shared_postgres.new_schema()),
        "VOXGATE_LIMITS__URL": shared_redis.url,
        "VOXGATE_SERVER__WORKERS": "3",
    }
    with running(folder, environ=environ) as server:
        with ThreadPoolExecutor(12) as asking:
            answers = list(asking.map(lambda _: _ask(server, "tone/late"), range(12)))
        assert sorted(map(_found, answers)) == ["hit"] * 11 + ["miss"]
        by_worker = {number: _ask_of(server, number) for number in workers(server)}
        page = httpx2.get(server.metrics).text
    assert {number: _found(answer) for number, answer in by_worker.items()} == {0: "hit", 1: "hit", 2: "hit"}
    assert len({answer.content for answer in (*answers, *by_worker.values())}) == 1
    assert 'voxgate_cache_lookups_total{found="hit"} 14.0' in page


def _ask_of(server: Server, number: int) -> httpx2.Response:
    """The answer of one worker: the others are stopped while it is asked, so that none of them accepts."""
    others = [process for other, process in workers(server).items() if other != number]
    for process in others:
        process.suspend()
    try:
        answer = _ask(server, "tone/late")
    finally:
        for process in others:
            process.resume()
    assert answered_by(server, answer) == number
    return answer


def test_a_purge_by_one_worker_empties_the_folder_of_all(
    folder: Path, shared_postgres: Postgres, shared_redis: RedisServer
) -> None:
    schema = shared_postgres.new_schema()
    environ = {
        "VOXGATE_STORAGE__URL": shared_postgres.url(search_path=schema),
        "VOXGATE_LIMITS__URL": shared_redis.url,
        "VOXGATE_SERVER__WORKERS": "2",
    }
    with running(folder, environ=environ) as server, server.client() as client:

        def put_words(spoken_as: str) -> None:
            body = {"words": {"numbat": spoken_as}}
            assert client.put("/v1/lexicons/en", json=body).status_code == 200

        def kept() -> list[str]:
            return shared_postgres.psql(f"SELECT name FROM {schema}.clips")

        put_words("wombat")
        first = _ask(server)
        until(lambda: _kinds(server) == ["whole"])
        assert len(kept()) == 1
        put_words("dingo")
        until(lambda: not _kinds(server))
        assert not kept()
        again = _ask(server)
        assert [_found(first), _found(again)] == ["miss", "miss"]
        # The other worker reads the words again within five seconds.
        until(lambda: _heard(_ask(server)) == TEXT.replace("numbat", "dingo"), 15)


def _heard(answer: httpx2.Response) -> str:
    return " ".join(decode(*decoded(answer.content, "pcm")))
