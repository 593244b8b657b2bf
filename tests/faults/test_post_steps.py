"""Post-steps on a real port: hosts that die, clients that leave, and what is left of either."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from plugins.tone.decode import decode
from tests.faults.processes import host, kill, state
from tests.faults.streams import MINUTES, stream
from tests.server import ALONE, Server, live_server
from tests.sound import decoded
from tests.waiting import until

pytestmark = pytest.mark.slow

CONFIG = (
    ALONE.replace("[server]", "[server]\nfirst_audio_s = 40").replace(
        "[engines.tone]", "[engines.tone]\nprocesses = 1"
    )
    + """
[engines.rough]
plugin = "tone"
sample_rate_hz = 16000
processes = 1
[engines.second]
plugin = "tone"
voices = ["anna"]
level_db = -12
processes = 1
[voices.drawl]
tone = "slow"
rough = "slow"
[[routes]]
language = "en"
candidates = ["tone/standard", "rough/standard"]
post = [{ engine = "second", voice = "anna" }]
[plans.small]
allowance = 1000
prices.speech = { credits = 120, per = "minute" }
prices.conversion = { credits = 60, per = "minute" }
"""
)
ENGINES = ("tone", "rough", "second")
BOTH = "tone/standard, second/standard"
TEXT = "Say it in another voice."

server = live_server(CONFIG)


def nobody_works(server: Server) -> bool:
    return all(
        (found["running"], found["waiting"]) == (0, 0) for found in (state(server, each) for each in ENGINES)
    )


@pytest.mark.parametrize("engine", ["tone", "second"])
def test_a_host_killed_after_the_first_sound_ends_the_answer_and_the_other_engines_work(
    server: Server, engine: str
) -> None:
    with stream(server, "drawl", language="en") as speech:
        speech.read(4_800)
        kill(host(server, engine))
        with pytest.raises(httpx2.TransportError):
            speech.read_all()
    until(lambda: nobody_works(server))
    assert server.speech(TEXT, language="en").headers["x-voxgate-engine"] == BOTH


def test_a_host_killed_before_its_first_sound_repeats_the_next_candidate_in_its_next_life(
    server: Server,
) -> None:
    """The speech of the first candidate can be read only once."""
    victim = host(server, "second")
    os.kill(victim.pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            server.speech, TEXT, voice="drawl", language="en", response_format="wav", model="tts-1"
        )
        until(lambda: int(state(server, "tone")["running"]) == 1)
        kill(victim)
        answer = asked.result()
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-voxgate-engine"] == "rough/standard, second/standard"
    assert decode(*decoded(answer.content, "wav")) == (TEXT,)
    until(lambda: nobody_works(server))


def test_what_was_left_broken_and_whole_is_on_the_books(server: Server) -> None:
    key = server.mint_key("payer", plan="small")
    with server.client(key.secret) as client:
        body = {"model": "tts-1", "voice": "alloy", "input": TEXT, "language": "en", "cache": False}
        whole = client.post("/v1/audio/speech", json=body | {"response_format": "pcm"})
        assert whole.status_code == 200, whole.text
        long = body | {"voice": "drawl", "input": MINUTES, "response_format": "pcm"}
        for is_killed in (False, True):
            with client.stream("POST", "/v1/audio/speech", json=long) as answer:
                parts = answer.iter_raw()
                next(parts)
                if is_killed:
                    kill(host(server, "second"))
                    with pytest.raises(httpx2.TransportError):
                        list(parts)
    until(lambda: nobody_works(server))
    listed: list[dict[str, Any]] = []

    def are_written() -> bool:
        with server.client(key.secret) as client:
            listed[:] = client.get("/v1/usage?limit=100").raise_for_status().json()["data"]
        return len(listed) == 3

    until(are_written)
    with server.control() as control:
        assert control.get("/admin/ledger").json()["is_clean"]
    outcomes = {row["outcome"]: row for row in listed}
    assert outcomes.keys() == {"finished", "left", "failed"}
    assert {row["engine"] for row in listed} == {"tone+second"}
    assert outcomes["failed"]["credits"] == 0
    seconds = len(whole.content) / 2 / 24_000
    assert outcomes["finished"]["credits"] == pytest.approx(3 * seconds, abs=1e-5)
