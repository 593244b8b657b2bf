"""What is learned of a voice's loudness: from its first seconds, once, and within bounds."""

import pytest

from policies.routing import Candidate, Model
from proxy.speech.loudness_levels import LoudnessLevel, LoudnessLevels
from speech_engine import EngineVoice, ModelInfo
from speech_engine.levels import TARGET_LUFS
from tests.proxy.audio.test_loudness import measured, pcm, sine
from tests.tables import each_row


def candidate(engine: str, voice: str) -> Candidate:
    return Candidate(
        Model(engine, ModelInfo(id="m", languages=(), sample_rate_hz=24_000)), EngineVoice(voice)
    )


def heard(level: LoudnessLevel, seconds: float, decibels: float) -> None:
    level.meter(24_000).feed(pcm(sine(seconds, decibels=decibels)))


def moved(level: LoudnessLevel, decibels: float) -> float | None:
    """How loud a sound of this level becomes."""
    return measured(level.gain(24_000).feed(pcm(sine(3, decibels=decibels))))


@each_row("decibels", [-30, -16, -6, 0])
def test_a_voice_is_brought_to_the_level_of_all(decibels: float) -> None:
    level = LoudnessLevel()
    heard(level, 3.1, decibels)
    assert moved(level, decibels) == pytest.approx(TARGET_LUFS, abs=0.2)


def test_three_seconds_are_enough_in_one_piece_or_in_several() -> None:
    level = LoudnessLevel()
    for _ in range(3):
        assert not level.is_known
        heard(level, 1.0, -20)
    assert level.is_known


def test_a_soft_passage_of_a_voice_stays_softer() -> None:
    level = LoudnessLevel()
    heard(level, 3.1, -16)
    loud, soft = moved(level, -16), moved(level, -24)
    assert loud is not None
    assert soft == pytest.approx(loud - 8, abs=0.1)


def test_silence_before_the_first_word_does_not_count() -> None:
    level = LoudnessLevel()
    level.meter(24_000).feed(bytes(4 * 48_000))
    was_known = level.is_known
    heard(level, 3.1, -20)
    assert (was_known, level.is_known) == (False, True)
    assert moved(level, -20) == pytest.approx(TARGET_LUFS, abs=0.3)


def test_silence_is_not_listened_to_for_ever() -> None:
    level = LoudnessLevel()
    level.meter(24_000).feed(bytes(31 * 48_000))
    assert level.is_known


def test_silence_teaches_nothing_and_noise_is_not_made_speech() -> None:
    silent, hissing = LoudnessLevel(), LoudnessLevel()
    silent.meter(24_000).feed(bytes(48_000))
    assert moved(silent, -20) == pytest.approx(-23, abs=0.1)
    heard(hissing, 3.1, -60)
    assert moved(hissing, -60) == pytest.approx(-63 + 15, abs=0.2)


def test_each_voice_of_each_model_has_its_own_and_keeps_it() -> None:
    levels = LoudnessLevels()
    voices = [candidate("one", "v"), candidate("one", "w"), candidate("two", "v")]
    assert len({id(levels.loudness_level(voice)) for voice in voices}) == 3
    heard(levels.loudness_level(voices[0]), 3.1, -10)
    assert levels.loudness_level(voices[0]).is_known
    assert not levels.loudness_level(voices[1]).is_known
    # Who shouts is not as loud as before.
    emotions = [levels.loudness_level(voices[0], emotion=each) for each in ("shout", "whisper", "shout")]
    assert [level.is_known for level in emotions] == [False] * 3
    assert emotions[0] is emotions[2] is not emotions[1]


def test_voices_nobody_uses_any_more_are_forgotten() -> None:
    levels = LoudnessLevels()
    first = levels.loudness_level(candidate("one", "first"))
    for number in range(5000):
        levels.loudness_level(candidate("one", "first"))
        levels.loudness_level(candidate("one", str(number)))
    assert levels.loudness_level(candidate("one", "first")) is first
    assert len(levels._levels) == 4096
