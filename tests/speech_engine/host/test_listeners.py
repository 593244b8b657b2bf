"""A new text waits while the engine speaks more slowly than it is heard."""

from types import SimpleNamespace

import pytest

from speech_engine import EngineVoice, Segment, SpeechJob
from speech_engine.host import listeners
from speech_engine.host.listeners import Listeners
from speech_engine.values import Urgency


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


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(listeners, "time", SimpleNamespace(monotonic=lambda: self.now))


def test_there_is_room_while_sound_is_ahead_and_then_until_the_text_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, gate = Clock(monkeypatch), Listeners()
    assert gate.fits_in_s(job(), ()) == 0.0
    text = gate.begin(job())
    clock.now += 1.9
    assert gate.fits_in_s(job(), ()) == 0.0
    # It has had no sound for too long, so a second of sound may take a second.
    clock.now += 0.2
    assert gate.fits_in_s(job(), ()) == pytest.approx(10.0)
    # A second of sound has taken two.
    clock.now += 1.9
    text.add(2.0)
    clock.now += 1.9
    assert gate.fits_in_s(job(), ()) == 0.0
    clock.now += 0.1
    text.add(1.0)
    clock.now += 6.0
    assert gate.fits_in_s(job(), ()) == pytest.approx(7.0 * 4.0)
    assert gate.fits_in_s(job(), (job(), job(estimated_s=5.0))) == pytest.approx(7.0 * 4.0 + 15.0 * 4.0)
    gate.end(text)
    assert gate.fits_in_s(job(), ()) == 0.0


def test_nobody_waits_for_a_text_that_nobody_hears_and_an_answer_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, gate = Clock(monkeypatch), Listeners()
    for urgency in ("idle", "whole"):
        gate.begin(job(urgency))
    clock.now += 100.0
    assert gate.fits_in_s(job(), ()) == 0.0
    assert [gate.goes_on(job(urgency)) for urgency in ("ahead", "live")] == [True, False]
