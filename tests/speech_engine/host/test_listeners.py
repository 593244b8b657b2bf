"""A new text waits while the engine speaks more slowly than it is heard."""

import asyncio

import pytest

from speech_engine import EngineVoice, Segment, SpeechJob
from speech_engine.host.listeners import Listeners
from speech_engine.values import Urgency
from tests.speech_engine.host.simulated_time import simulated


def job(urgency: Urgency = "live", estimated_s: float = 10.0) -> SpeechJob:
    return SpeechJob(
        id="job",
        tenant="",
        model="m",
        voice=EngineVoice("v"),
        segments=(Segment("a", 0, 1),),
        language="en",
        urgency=urgency,
        estimated_s=estimated_s,
    )


@simulated
async def test_there_is_room_while_sound_is_ahead_and_then_when_so_few_are_left_that_it_keeps_up() -> None:
    gate = Listeners()
    assert gate.fits_in_s(job(), ()) == 0.0
    text = gate.begin(job())
    await asyncio.sleep(1.9)
    assert gate.fits_in_s(job(), ()) == 0.0
    # It has had no sound for too long, so a second of sound may take a second.
    await asyncio.sleep(0.2)
    assert gate.fits_in_s(job(), ()) == pytest.approx(10.0)
    # A second of sound has taken two.
    await asyncio.sleep(1.9)
    text.add(2.0)
    await asyncio.sleep(1.9)
    assert gate.fits_in_s(job(), ()) == 0.0
    await asyncio.sleep(0.1)
    text.add(1.0)
    await asyncio.sleep(6.0)
    assert gate.fits_in_s(job(), ()) == pytest.approx(7.0 * 4.0)
    assert gate.fits_in_s(job(), (job(), job(estimated_s=5.0))) == pytest.approx(22.0 * 4.0)
    gate.end(text)
    assert gate.fits_in_s(job(), ()) == 0.0


@simulated
async def test_those_who_stay_keep_up_when_the_shorter_texts_have_ended() -> None:
    gate = Listeners()
    texts = [gate.begin(job(estimated_s=length_s)) for length_s in (10.0, 20.0, 90.0)]
    await asyncio.sleep(5.0)
    for text in texts:
        text.add(2.5)
    await asyncio.sleep(5.0)
    # Together 0.75 s of sound a second: until all have ended.
    assert gate.fits_in_s(job(), ()) == pytest.approx((7.5 + 17.5 + 87.5) / 0.75)
    for text in texts:
        text.add(5.5)
    await asyncio.sleep(6.0)
    # Together 1.5 a second: until the last one is alone.
    assert gate.fits_in_s(job(), ()) == pytest.approx((2.0 * 3 + 10.0 * 2) / 1.5)


@simulated
async def test_a_text_that_became_slow_is_reckoned_by_its_last_minute() -> None:
    gate = Listeners()
    text = gate.begin(job(estimated_s=400.0))
    for made_s in (20.0, 10.0, 10.0, 10.0):
        await asyncio.sleep(30.0)
        text.add(made_s)
    await asyncio.sleep(20.0)
    assert gate.fits_in_s(job(), ()) == pytest.approx(350.0 * 50.0 / 10.0)


@simulated
async def test_nobody_waits_for_a_text_that_nobody_hears_and_an_answer_goes_on() -> None:
    gate = Listeners()
    for urgency in ("idle", "whole"):
        gate.begin(job(urgency))
    await asyncio.sleep(100.0)
    assert gate.fits_in_s(job(), ()) == 0.0
    assert [gate.goes_on(job(urgency)) for urgency in ("ahead", "live")] == [True, False]
