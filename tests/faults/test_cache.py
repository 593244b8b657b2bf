"""The audio cache on a real server: many at once, a worker that is killed while it writes, and a restart.

Over several workers: test_kept_by_workers.py.
"""

import httpx2
import pytest

from tests.faults.processes import kill, worker
from tests.faults.streams import stream
from tests.server import Server, live_server
from tests.waiting import until

pytestmark = pytest.mark.slow

TEXT = "Said once, by the numbat."
LONG = "word " * 800
"""Minutes of it: the server cannot get rid of it all to a client that does not read."""


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


server = live_server()
"""The last test ends it."""


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
