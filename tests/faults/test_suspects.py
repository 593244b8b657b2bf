"""A text that kills its host costs its neighbours nothing but time, and its sender no free sound."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from plugins.tone.decode import decode
from tests.faults.processes import host, kill, state, usage_rows
from tests.faults.stalls import SHORT, requested, stalled
from tests.faults.streams import stream
from tests.server import ALONE, Server, live_server, running
from tests.sound import decoded
from tests.waiting import until

pytestmark = pytest.mark.slow

NEIGHBOURS = 4
CONFIG = ALONE.replace("[server]", "[server]\nfirst_audio_s = 40").replace(
    "[engines.tone]", "[engines.tone]\nslots = 8\nprocesses = 1"
)
DYING = """
[engines.dying]
plugin = "tone"
pace = 1.0
fail = "crash"
fail_at_s = 0.5
[plans.paid]
prices.speech = { credits = 1, per = "second" }
"""

server = live_server(CONFIG + DYING)
"""The last test ends it."""


def _deaths(server: Server) -> int:
    return server.log.read_text().count('"child.state.restarting"')


def test_neighbours_that_waited_for_their_first_audio_are_served_and_the_killer_is_known(
    server: Server,
) -> None:
    texts = [f"This is neighbour {number}." for number in range(NEIGHBOURS)]
    with ThreadPoolExecutor(NEIGHBOURS) as pool:
        asked = [pool.submit(server.speech, text, voice="tone/late", response_format="wav") for text in texts]
        until(lambda: int(state(server, "tone")["running"]) == NEIGHBOURS)
        killer = server.speech("This kills.", voice="tone/crash")
        answers = [each.result() for each in asked]
    for text, answer in zip(texts, answers, strict=True):
        assert answer.status_code == 200, answer.text
        sound = decoded(answer.content, "wav")
        assert decode(sound.samples, sound.sample_rate_hz) == (text,)
    assert killer.status_code == 400, killer.text
    error = killer.json()["error"]
    assert (error["param"], error["code"]) == ("input", "unsupported_text")
    assert _deaths(server) == 2
    assert server.speech("This kills.", voice="tone/crash").status_code == 400
    assert server.speech("This does not.", voice="tone/tone").status_code == 200
    assert _deaths(server) == 2, "a text in quarantine reaches no host"


def test_a_client_that_stops_reading_does_not_hold_up_a_text_that_runs_alone(tmp_path: Path) -> None:
    with running(
        tmp_path, ALONE.replace("[engines.tone]", "[engines.tone]\npace = 0\nprocesses = 1")
    ) as server:
        with requested(server, "The suspect.", voice="tone/late"):
            until(lambda: int(state(server, "tone")["running"]) == 1)
            kill(host(server, "tone"))
        with stalled(server, 1, "tone/standard", text=SHORT), ThreadPoolExecutor() as pool:
            until(lambda: int(state(server, "tone")["running"]) == 0)
            suspect = pool.submit(server.speech, "The suspect.", voice="tone/late")
            assert server.speech("A neighbour.").status_code == 200
            assert suspect.result().status_code == 200, suspect.result().text


def test_sound_before_a_death_is_charged_once_the_text_is_known_for_it(server: Server) -> None:
    ids, before = [], _deaths(server)
    paying = server._replace(key=server.mint_key("payer", plan="paid").secret)
    for _ in range(2):
        with stream(paying, "dying/tone", "These words kill late.", model="dying/standard") as speech:
            ids.append(speech.id)
            speech.read(4_800)
            with pytest.raises(httpx2.TransportError):
                speech.read_all()
        until(lambda: state(server, "dying")["state"] == "ready")
    third = paying.speech("These words kill late.", voice="dying/tone", model="dying/standard")
    assert third.status_code == 400, third.text
    assert _deaths(server) == before + 2
    server.process.terminate()
    server.process.wait()
    rows = usage_rows(server)
    first, second = (rows[each] for each in ids)
    assert (first.outcome, first.error, first.credits) == ("failed", "engine_unavailable", 0)
    assert (second.outcome, second.error) == ("failed", "unsupported_text")
    assert second.credits > 0
