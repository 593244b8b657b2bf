"""An Idempotency-Key on a real server: clients that hang up, workers that are killed, and restarts.

Over several workers: test_kept_by_workers.py.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import httpx2
import pytest

from plugins.tone.decode import decode
from tests.faults.processes import children, kill, worker
from tests.server import Server, live_server, running, stop
from tests.sound import decoded
from tests.waiting import until

pytestmark = pytest.mark.slow

KEY = "quokka-key"
TEXT = "Said once, by the numbat."


def _body(voice: str, text: str = TEXT) -> dict[str, Any]:
    return {"model": "tts-1", "voice": voice, "input": text, "response_format": "pcm"}


def ask(server: Server, voice: str) -> httpx2.Response:
    """As the SDKs do it: as long as it is under way, again."""
    answers: list[httpx2.Response] = []

    def is_answered() -> bool:
        with server.client() as client:
            # A connection of its own each time, so that any worker may get it.
            headers = {"idempotency-key": KEY, "connection": "close"}
            answers.append(client.post("/v1/audio/speech", json=_body(voice), headers=headers))
        return answers[-1].status_code != 409

    until(is_answered)
    assert answers[-1].status_code == 200, answers[-1].text
    return answers[-1]


@contextmanager
def _hung_up(server: Server, voice: str) -> Iterator[bytes]:
    """The first bytes of an answer whose client has gone."""
    with server.client() as client:
        with client.stream(
            "POST", "/v1/audio/speech", json=_body(voice), headers={"idempotency-key": KEY}
        ) as response:
            assert response.status_code == 200
            first = next(response.iter_raw())
    yield first


def is_replay(answer: httpx2.Response) -> bool:
    return answer.headers.get("x-voxgate-replayed") == "true"


def _heard(answer: httpx2.Response) -> str:
    return " ".join(decode(*decoded(answer.content, "pcm")))


def _folder(server: Server) -> list[str]:
    return sorted(path.suffix or "whole" for path in (server.data / "idempotency").glob("*"))


class Row(NamedTuple):
    request: str
    outcome: str
    samples: int


class Caller(NamedTuple):
    """The server as an account of its own meets it."""

    server: Server
    key_id: str

    def rows(self) -> list[Row]:
        """What it is charged for, or was refused."""
        sql = "SELECT id, outcome, samples FROM usage WHERE key = ?"
        address = f"file:{self.server.data / 'voxgate.db'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as database:
            return [Row(*row) for row in database.execute(sql, (self.key_id,))]

    def finished(self) -> int:
        return sum(row.outcome == "finished" for row in self.rows())


server = live_server()
"""Three tests kill its worker, which is fewer than it is given up for; the last one ends it."""


@pytest.fixture
def caller(server: Server, request: pytest.FixtureRequest) -> Caller:
    made = server.mint_key(request.node.name, plan="unlimited")
    return Caller(server._replace(key=made.secret), made.id)


def test_a_worker_killed_while_it_speaks_leaves_no_key_stuck(caller: Caller) -> None:
    server, _ = caller
    before = len(_folder(server))
    with _hung_up(server, "tone/slow"):
        kill(worker(server))
    answer = ask(server, "tone/slow")
    assert _folder(server) == ["whole"] * (before + 1)
    assert not is_replay(answer)
    assert _heard(answer) == TEXT
    until(lambda: caller.finished() == 1)


def test_killed_between_the_file_and_the_commit_nothing_is_charged_or_replayed(caller: Caller) -> None:
    server, _ = caller
    victim, before = worker(server), _folder(server).count("whole")
    # Whoever holds the database's write lock keeps the settlement from committing.
    with closing(sqlite3.connect(server.data / "voxgate.db", isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        with _hung_up(server, "tone/tone"):
            until(lambda: _folder(server).count("whole") > before)
            kill(victim)
        database.execute("ROLLBACK")
    assert caller.finished() == 0
    answer = ask(server, "tone/tone")
    again = ask(server, "tone/tone")
    assert [is_replay(answer), is_replay(again)] == [False, True]
    assert _heard(again) == TEXT
    until(lambda: caller.finished() == 1)


def test_killed_after_the_commit_what_was_chargedis_replayed(caller: Caller) -> None:
    server, _ = caller
    with _hung_up(server, "tone/slow"):
        until(lambda: caller.finished() == 1)
        kill(worker(server))
    answer = ask(server, "tone/slow")
    assert is_replay(answer)
    assert _heard(answer) == TEXT
    assert len(caller.rows()) == 1


def test_a_restart_keeps_what_may_be_asked_for_again_and_nothing_is_told_of_it(caller: Caller) -> None:
    server, _ = caller
    first = ask(server, "tone/tone")
    assert stop(server.process) == 0
    # The lock of its folder is free again as soon as it is gone.
    with running(server.config.parent) as restarted:
        assert len(children(restarted)) == 2
        again = ask(restarted._replace(key=server.key), "tone/tone")
        names = " ".join(path.name for path in (server.data / "idempotency").iterdir())
    assert restarted.process.returncode == 0
    assert [is_replay(first), is_replay(again)] == [False, True]
    assert first.content == again.content
    assert len(caller.rows()) == 1
    log = server.log.read_text()
    for canary in ("quokka", "numbat"):
        assert canary not in log
        assert canary not in names
