"""The pauses between the parts of an answer: how long they are, how they sound, and what they cost."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from speech_engine import Encoded, Event, Finished, Started, Word, Words
from tests.proxy.api.scripted import RATE_HZ, Scripted, Step, sound, spoken
from tests.proxy.speech.relay.voices import CONFIG, PAUSE_S, body, hear, stage
from tests.tables import each_row

TEXT = "[Ana] Olá. [Ben] Hi. [Ana] Tchau."


def off_beat(seconds: float) -> list[Event]:
    """So much sound, and then as much as ends at the top of a wave."""
    return [Started(RATE_HZ), *sound(seconds), *sound(0.25 / 440), Finished()]


def end_of_turn(content: bytes, at_s: float) -> NDArray[np.int16]:
    at = round(at_s * RATE_HZ)
    return np.abs(np.frombuffer(content, np.int16)[at - 3 : at])


def paused(ms: int) -> str:
    return f"[server]\nturn_pause_ms = {ms}\n{CONFIG}"


async def test_there_is_a_pause_between_two_turns_and_none_at_the_end(tmp_path: Path) -> None:
    async with stage(tmp_path, Scripted(*off_beat(1.0)), Scripted(*off_beat(0.5))) as server:
        content = await hear(server, TEXT)
    # Where it is silent within the sound, and for how long, in seconds.
    loud = np.flatnonzero(np.frombuffer(content, "<i2"))
    gaps = np.flatnonzero(np.diff(loud) > RATE_HZ // 100)
    found = [(float(loud[gap]) / RATE_HZ, float(loud[gap + 1] - loud[gap]) / RATE_HZ) for gap in gaps]
    assert [at for at, _ in found] == [pytest.approx(1.0, abs=0.01), pytest.approx(1.5 + PAUSE_S, abs=0.01)]
    assert [length for _, length in found] == [pytest.approx(PAUSE_S, abs=0.01)] * 2
    assert len(content) / 2 / RATE_HZ == pytest.approx(2.5 + 2 * PAUSE_S, abs=0.01)
    assert end_of_turn(content, found[0][0]).max() < 200


async def test_bytes_that_an_engine_encoded_end_softly_where_they_meet_others(tmp_path: Path) -> None:
    pcm = np.full(RATE_HZ, 20_000, "<i2").tobytes()
    one = Scripted(Encoded("pcm", pcm, RATE_HZ), Finished(), formats=("pcm",))
    async with stage(tmp_path, one, Scripted(*spoken(0.5))) as server:
        together = await hear(server, "[Ana] Olá. [Ben] Hi.")
        alone = await hear(server, "[Ana] Olá.")
    assert end_of_turn(together, 1.0).max() < 100
    assert alone == pcm, "what passes through is not touched"


@each_row(("ms", "speed", "pause_s"), [(0, 1.0, 0.0), (1000, 1.0, 1.0), (1000, 2.0, 0.5)])
async def test_the_operator_sets_the_pause_and_the_speed_divides_it(
    tmp_path: Path, ms: int, speed: float, pause_s: float
) -> None:
    engines = [Scripted(*spoken(1.0), speed=(0.25, 4.0)) for _ in range(2)]
    async with stage(tmp_path, *engines, config=paused(ms)) as server:
        content = await hear(server, "[Ana] Olá. [Ben] Hi.", speed=speed)
    assert len(content) == round((2.0 + pause_s) * RATE_HZ) * 2


async def test_words_are_timed_behind_the_pauses(tmp_path: Path) -> None:
    def timed(seconds: float) -> list[Step]:
        return [Started(RATE_HZ), Words((Word(0, 0, 2),)), *sound(seconds), Finished()]

    engines = [Scripted(*timed(seconds), times_words=True) for seconds in (1.0, 0.5)]
    asked = body("[Ana] Oi. [Ben] Hi. [Ana] Oi.", response_format="json", audio_format="wav")
    async with stage(tmp_path, *engines, config=paused(400)) as server:
        answer = (await server.ask("POST", "/v1/audio/speech", body=asked)).json()
    assert [word["start_seconds"] for word in answer["words"]] == [0.0, 1.4, 2.3]
    assert answer["duration_seconds"] == pytest.approx(1.0 + 0.4 + 0.5 + 0.4 + 1.0)


async def test_a_pause_is_heard_so_it_is_charged_with_the_turn_before_it(tmp_path: Path) -> None:
    config = f"""{paused(1000)}
[plans.paid]
prices.speech = {{ credits = 1, per = "second" }}
prices.models."two" = {{ credits = 10, per = "second" }}
"""
    one, two = Scripted(*spoken(1.0)), Scripted(*spoken(0.5))
    async with stage(tmp_path, one, two, config=config, plan="paid") as server:
        content = await hear(server, TEXT)
        (row,) = await server.usage()
    assert row.samples == 4.5 * RATE_HZ == len(content) / 2
    assert row.credits == ((1.0 + 1.0 + 1.0) + 10 * (0.5 + 1.0)) * 10**6


async def test_a_hold_has_room_for_the_pauses(tmp_path: Path) -> None:
    config = f"""{paused(5000)}
[plans.paid]
allowance = 60
prices.speech = {{ credits = 1, per = "second" }}
"""
    one, two = Scripted(*spoken(0.1)), Scripted(*spoken(0.1))
    async with stage(tmp_path, one, two, config=config, plan="paid") as server:
        asked = [body("[Ana] Oi. [Ben] Oi. " * times) for times in (10, 1)]
        answers = [await server.ask("POST", "/v1/audio/speech", body=each) for each in asked]
    assert [answer.status_code for answer in answers] == [429, 200]
