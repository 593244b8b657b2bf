"""The audio cache on a real server: many at once, a worker that is killed while it writes, and a restart.

Over several workers: test_kept_by_workers.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from plugins.tone.decode import decode
from tests.faults.clusters import metric
from tests.faults.processes import kill, usage_rows, worker
from tests.faults.streams import stream
from tests.server import Server, running, stop
from tests.sound import decoded
from tests.waiting import until

TEXT = "Said once, by the numbat."
LONG = "word " * 800
"""Minutes of it: the server cannot get rid of it all to a client that does not read."""
SPOKEN = 'voxgate_speech_seconds_total{engine="tone",model="standard"}'


def ask(server: Server, voice: str = "tone/tone", text: str = TEXT) -> httpx2.Response:
    body = {"model": "tts-1", "voice": voice, "input": text, "response_format": "pcm", "cache": True}
    with server.client() as client:
        # A connection of its own each time, so that any worker may get it.
        answer = client.post("/v1/audio/speech", json=body, headers={"connection": "close"})
    assert answer.status_code == 200, answer.text
    return answer


def lookup(answer: httpx2.Response) -> str:
    return str(answer.headers["x-voxgate-cache"])


def kinds(server: Server) -> list[str]:
    """What lies in the folder, by how it ends."""
    return sorted(path.suffix or "whole" for path in (server.data / "cache").glob("*"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The last test ends it."""
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


def test_a_worker_killed_while_it_writes_leaves_no_half_clip(server: Server) -> None:
    with stream(server, "tone/tone", LONG, cache=True) as begun:
        begun.read(300_000)
        until(lambda: kinds(server) == [".lock", ".part"])
        kill(worker(server))
    until(lambda: not kinds(server))
    answers = [ask(server, text=LONG) for _ in range(2)]
    until(lambda: kinds(server) == ["whole"])
    assert begun.headers["x-voxgate-cache"] == "miss"
    assert [lookup(answer) for answer in answers] == ["miss", "hit"]
    assert answers[0].content == answers[1].content
    assert answers[1].content.startswith(begun.pcm)
    assert len(answers[1].content) > 4_000_000


def test_a_hundred_at_once_are_spoken_once_and_a_restart_keeps_what_may_be_asked_for_again(
    server: Server,
) -> None:
    client = server._replace(key=server.mint_key("hundred", plan="unlimited").secret)
    before = metric(server, SPOKEN)
    with ThreadPoolExecutor(100) as asking:
        answers = list(asking.map(lambda _: ask(client), range(100)))
    spoken = metric(server, SPOKEN) - before
    log = server.log.read_text()
    assert sorted(map(lookup, answers)) == ["hit"] * 99 + ["miss"]
    assert len({answer.content for answer in answers}) == 1
    assert " ".join(decode(*decoded(answers[0].content, "pcm"))) == TEXT
    assert spoken == pytest.approx(len(answers[0].content) / 2 / 24_000)
    assert "numbat" not in log
    stop(server.process)
    rows = usage_rows(server)
    found = [rows[answer.headers["x-request-id"]].cache for answer in answers]
    assert sorted(found) == ["hit"] * 99 + ["miss"]
    with running(server.config.parent) as restarted:
        again = ask(restarted._replace(key=client.key))
    assert lookup(again) == "hit"
    assert again.content == answers[0].content
