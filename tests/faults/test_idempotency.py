"""An Idempotency-Key on a real server: clients that hang up, workers that are killed, and restarts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2

from plugins.tone.decode import decode
from proxy.storage.usage import UsageRow
from tests.databases import Postgres
from tests.faults.processes import kill, until, usage_rows, worker
from tests.redis_server import RedisServer
from tests.server import Server, running
from tests.sound import decoded

KEY = {"idempotency-key": "quokka-key"}
TEXT = "Said once, by the numbat."


def _body(voice: str, text: str = TEXT) -> dict[str, Any]:
    return {"model": "tts-1", "voice": voice, "input": text, "response_format": "pcm"}


def _ask(server: Server, voice: str) -> httpx2.Response:
    """As the SDKs do it: as long as it is under way, again."""
    answers: list[httpx2.Response] = []

    def is_answered() -> bool:
        with server.client() as client:
            # A connection of its own each time, so that any worker may get it.
            headers = {**KEY, "connection": "close"}
            answers.append(client.post("/v1/audio/speech", json=_body(voice), headers=headers))
        return answers[-1].status_code != 409

    until(is_answered, within_s=30.0)
    assert answers[-1].status_code == 200, answers[-1].text
    return answers[-1]


@contextmanager
def _hung_up(server: Server, voice: str) -> Iterator[bytes]:
    """The first bytes of an answer whose client has gone."""
    with server.client() as client:
        with client.stream("POST", "/v1/audio/speech", json=_body(voice), headers=KEY) as response:
            assert response.status_code == 200
            first = next(response.iter_raw())
    yield first


def _is_replay(answer: httpx2.Response) -> bool:
    return answer.headers.get("x-voxgate-replayed") == "true"


def _heard(answer: httpx2.Response) -> str:
    return " ".join(decode(*decoded(answer.content, "pcm")))


def _finished(server: Server) -> list[UsageRow]:
    return [row for row in usage_rows(server).values() if row.outcome == "finished"]


def _folder(server: Server) -> set[str]:
    return {path.suffix or "whole" for path in (server.data / "idempotency").iterdir()}


def _settled(server: Server) -> int:
    with closing(sqlite3.connect(f"file:{server.data / 'voxgate.db'}?mode=ro", uri=True)) as database:
        (count,) = database.execute("SELECT count(*) FROM usage WHERE outcome = 'finished'").fetchone()
    return int(count)


def test_a_client_who_hung_up_in_the_middle_gets_the_whole_answer_and_pays_once(folder: Path) -> None:
    with running(folder) as server:
        with _hung_up(server, "tone/slow") as first:
            answer = _ask(server, "tone/slow")
        metrics = httpx2.get(server.metrics).text
        names = " ".join(path.name for path in (server.data / "idempotency").iterdir())
    log = server.log.read_text()
    assert _is_replay(answer)
    assert _heard(answer) == TEXT
    assert answer.content.startswith(first)
    (row,) = usage_rows(server).values()
    assert (row.outcome, 2 * row.samples) == ("finished", len(answer.content))
    assert "voxgate_answers_replayed_total 1.0" in metrics
    for canary in ("quokka", "numbat"):
        assert canary not in log
        assert canary not in names
    lines = [json.loads(line) for line in log.splitlines()]
    completes = [line["complete"] for line in lines if line.get("request") == row.id]
    assert completes == [False]


def test_a_worker_killed_while_it_speaks_leaves_no_key_stuck(folder: Path) -> None:
    with running(folder) as server:
        with _hung_up(server, "tone/slow"):
            kill(worker(server))
        answer = _ask(server, "tone/slow")
        assert _folder(server) == {"whole"}
    assert not _is_replay(answer)
    assert _heard(answer) == TEXT
    assert len(_finished(server)) == 1


def test_killed_between_the_file_and_the_commit_nothing_is_charged_or_replayed(folder: Path) -> None:
    with running(folder) as server:
        victim = worker(server)
        # Whoever holds the database's write lock keeps the settlement from committing.
        with closing(sqlite3.connect(server.data / "voxgate.db", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            with _hung_up(server, "tone/tone"):
                until(lambda: "whole" in _folder(server))
                kill(victim)
            database.execute("ROLLBACK")
        assert _settled(server) == 0
        answer = _ask(server, "tone/tone")
        again = _ask(server, "tone/tone")
    assert [_is_replay(answer), _is_replay(again)] == [False, True]
    assert _heard(again) == TEXT
    assert len(_finished(server)) == 1


def test_killed_after_the_commit_what_was_charged_is_replayed(folder: Path) -> None:
    with running(folder) as server:
        with _hung_up(server, "tone/slow"):
            until(lambda: _settled(server) == 1, within_s=30.0)
            kill(worker(server))
        answer = _ask(server, "tone/slow")
    assert _is_replay(answer)
    assert _heard(answer) == TEXT
    assert len(usage_rows(server)) == 1


def test_a_restart_keeps_what_may_be_asked_for_again(folder: Path) -> None:
    with running(folder) as server:
        first = _ask(server, "tone/tone")
    with running(folder) as server:
        again = _ask(server, "tone/tone")
    assert [_is_replay(first), _is_replay(again)] == [False, True]
    assert first.content == again.content
    assert len(usage_rows(server)) == 1


def test_several_workers_speak_it_once_and_each_has_it(
    folder: Path, shared_postgres: Postgres, shared_redis: RedisServer
) -> None:
    schema = shared_postgres.new_schema()
    environ = {
        "VOXGATE_STORAGE__URL": shared_postgres.url(search_path=schema),
        "VOXGATE_LIMITS__URL": shared_redis.url,
        "VOXGATE_SERVER__WORKERS": "3",
    }
    with running(folder, environ=environ) as server:
        with ThreadPoolExecutor(12) as asking:
            answers = list(asking.map(lambda _: _ask(server, "tone/late"), range(12)))
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    asked = {line["worker"] for line in lines if line.get("route") == "/v1/audio/speech"}
    assert sorted(map(_is_replay, answers)) == [False] + [True] * 11
    assert len({answer.content for answer in answers}) == 1
    assert len(asked) > 1
    outcomes = shared_postgres.psql(f"SELECT outcome FROM {schema}.usage")
    assert outcomes == ["finished"]
