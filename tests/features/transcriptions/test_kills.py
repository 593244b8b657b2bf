"""What is killed while it hears: nothing is charged twice, and the next host hears the recording."""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

import httpx2
import pytest

from tests.faults.kills import POINTS, FaultOrder, Killing, Place, expect_books_to_outlive, ordered, place
from tests.faults.processes import host, kill, state
from tests.features.transcriptions.ears import TRANSCRIPTIONS, recorded
from tests.server import Server, running
from tests.waiting import until

pytestmark = pytest.mark.slow
__all__ = ["place"]

TEXT = "This is heard by the next host. It is slow."
CONFIG = """
[server]
default_model = "tone"
[engines.tone]
hears = true
[models]
ears = ["tone/ears"]
[plans.metered]
allowance = 1000
prices.speech = { credits = 1, per = "second" }
"""


def hear(client: httpx2.Client, **fields: str) -> FaultOrder:
    return ordered(
        client, TRANSCRIPTIONS, data={"model": "ears", **fields}, files={"file": recorded("Hi there. Yes.")}
    )


def asked(server: Server, prompt: str) -> httpx2.Response:
    with server.client(timeout=60.0) as client:
        return client.post(
            TRANSCRIPTIONS, data={"model": "ears", "prompt": prompt}, files={"file": recorded(TEXT)}
        )


def test_the_next_host_hears_what_a_killed_one_had_begun(tmp_path: Path) -> None:
    with running(tmp_path, CONFIG) as server, ThreadPoolExecutor(1) as thread:
        victim = host(server, "tone")
        hearing = thread.submit(asked, server, "slow")
        until(lambda: state(server, "tone")["running"])
        kill(victim)
        answer = hearing.result(60.0)
        assert (answer.status_code, answer.json()["text"]) == (200, TEXT)
        assert host(server, "tone").pid != victim.pid


def test_a_recording_that_kills_is_refused_and_others_are_heard(tmp_path: Path) -> None:
    with running(tmp_path, CONFIG) as server:
        killing = asked(server, "crash")
        assert (killing.status_code, killing.json()["error"]["code"]) == (400, "invalid_audio")
        pid = host(server, "tone").pid
        assert asked(server, "crash").status_code == 400
        assert host(server, "tone").pid == pid, "it is not even tried"
        with server.client(timeout=60.0) as client:
            assert hear(client).status == 200


def test_the_books_outlive_a_kill_at_each_point(tmp_path: Path, place: Place) -> None:
    streams = cycle(("true", "false"))
    killing = Killing(tmp_path, place, "worker", lambda client: hear(client, stream=next(streams)))
    expect_books_to_outlive(killing, POINTS)
