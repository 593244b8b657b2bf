"""The embedded voice at each speed, as the server makes it: native as far as it goes, then stretched."""

import numpy as np
import pytest
from numpy.typing import NDArray

from proxy.audio.formats import OUTPUT_RATE_HZ, USUAL_FORMS
from proxy.audio.sound import Sound
from speech_engine import Engine
from tests.plugins.espeak.heard import SAMPLE_RATE_HZ, hear, said

PROSE = (
    "Good evening, and welcome to the show.",
    "Tonight we talk about the sea; it is larger than anybody thinks, and it is louder too.",
    "Is it? I have only seen a lake, and that was a very quiet one, far from here.",
)
COMMANDS = ("Stop!", "Go!", "Run!", "Jump!", "Sit!", "Eat!")

_STEP = OUTPUT_RATE_HZ // 100
_QUIET = 60 / 32768


async def spoken(engine: Engine, texts: tuple[str, ...], speed: float) -> NDArray[np.float64]:
    slowest, fastest = engine.models()[0].speed
    native = min(max(speed, slowest), fastest)
    heard = await hear(engine, said(*texts, speed=native))
    sound = Sound(SAMPLE_RATE_HZ, USUAL_FORMS["pcm"], factor=speed / native)
    pcm = sound.feed(heard.pcm).data + sound.flush().data
    return np.frombuffer(pcm, "<i2") / 32768


def longest_pauses_s(samples: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The pauses within the sound, the longest first."""
    peaks = np.abs(samples[: len(samples) // _STEP * _STEP].reshape(-1, _STEP)).max(axis=1)
    loud = np.flatnonzero(peaks > _QUIET)
    return np.sort(np.diff(loud) - 1)[::-1][:count] / 100


@pytest.mark.parametrize("speed", [0.5, 1.5, 2.0, 4.0])
async def test_prose_takes_as_long_as_the_speed_says(engine: Engine, speed: float) -> None:
    plain, changed = await spoken(engine, PROSE, 1.0), await spoken(engine, PROSE, speed)
    assert len(plain) / len(changed) == pytest.approx(speed, rel=0.12)


@pytest.mark.parametrize("speed", [1.5, 2.0, 4.0])
async def test_short_sentences_do_not_run_into_one_another(engine: Engine, speed: float) -> None:
    plain, changed = await spoken(engine, COMMANDS, 1.0), await spoken(engine, COMMANDS, speed)
    assert len(plain) / len(changed) == pytest.approx(speed, rel=0.15)


@pytest.mark.parametrize("speed", [1.5, 2.0])
async def test_pauses_between_sentences_live_at_a_high_speed(engine: Engine, speed: float) -> None:
    count = len(COMMANDS) - 1
    plain = longest_pauses_s(await spoken(engine, COMMANDS, 1.0), count)
    changed = longest_pauses_s(await spoken(engine, COMMANDS, speed), count)
    assert plain.min() > 0.2
    assert changed.mean() * speed > 0.5 * plain.mean()
