"""The embedded voice by ear: length, speed, pitch, pauses, and what one utterance leaves to the next."""

import numpy as np
import pytest

from plugins.espeak.plugin import EspeakSettings
from speech_engine import Engine, UnsupportedText
from tests.plugins.espeak.first_take import first_take
from tests.plugins.espeak.heard import espeak, hear, said
from tests.tables import each_row

pytestmark = pytest.mark.slow

SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank."


async def test_a_sentence_is_audible_and_takes_as_long_as_speech_does(engine: Engine) -> None:
    heard = await hear(engine, said(SENTENCE))
    assert heard.loudness > 1000
    assert 3.0 < heard.duration_s < 5.0


async def test_a_longer_text_is_longer_audio(engine: Engine) -> None:
    once = await hear(engine, said(SENTENCE))
    thrice = await hear(engine, said(" ".join([SENTENCE] * 3)))
    assert thrice.duration_s > 2.9 * once.duration_s


@pytest.mark.parametrize("speed", [0.5, 0.75, 1.5, 2.0, 2.5])
async def test_speed_divides_the_duration(engine: Engine, speed: float) -> None:
    plain = await hear(engine, said(SENTENCE))
    changed = await hear(engine, said(SENTENCE, speed=speed))
    assert plain.duration_s / changed.duration_s == pytest.approx(speed, rel=0.12)


async def test_a_speed_out_of_range_is_the_nearest_one(engine: Engine) -> None:
    fastest = await hear(engine, said(SENTENCE, speed=2.57))
    slowest = await hear(engine, said(SENTENCE, speed=0.46))
    assert (await hear(engine, said(SENTENCE, speed=40.0))).duration_s == pytest.approx(
        fastest.duration_s, 0.02
    )
    assert (await hear(engine, said(SENTENCE, speed=0.01))).duration_s == pytest.approx(
        slowest.duration_s, 0.02
    )


@pytest.mark.parametrize("voice", ["m3", "f3"])
@pytest.mark.parametrize("semitones", [-7.0, -3.0, 3.0, 8.0])
async def test_pitch_moves_the_voice_by_semitones(engine: Engine, voice: str, semitones: float) -> None:
    plain = await hear(engine, said(SENTENCE, voice=voice))
    changed = await hear(engine, said(SENTENCE, voice=voice, pitch=semitones))
    assert 12 * np.log2(changed.pitch_hz / plain.pitch_hz) == pytest.approx(semitones, abs=0.8)


@pytest.mark.parametrize("semitones", [-1000.0, -12.0, 12.0, 1000.0])
async def test_a_pitch_out_of_reach_is_the_nearest_one(engine: Engine, semitones: float) -> None:
    plain = await hear(engine, said(SENTENCE))
    changed = await hear(engine, said(SENTENCE, pitch=semitones))
    assert abs(12 * np.log2(changed.pitch_hz / plain.pitch_hz)) > 7
    assert (changed.pitch_hz > plain.pitch_hz) == (semitones > 0)


async def test_volume_and_word_gap_come_from_the_settings() -> None:
    async with espeak() as engine:
        plain = await hear(engine, said(SENTENCE))
    async with espeak(EspeakSettings(volume=50, word_gap_ms=300)) as engine:
        changed = await hear(engine, said(SENTENCE))
    assert changed.loudness < 0.7 * plain.loudness
    assert changed.duration_s > plain.duration_s + 2


async def test_nothing_of_one_utterance_shows_in_the_next(engine: Engine) -> None:
    before = await hear(engine, said(SENTENCE))
    odd = said("Algo diferente.", language="es", voice="whisperf", speed=2.0, pitch=9.0, max_samples=5000)
    await hear(engine, odd)
    after = await hear(engine, said(SENTENCE))
    assert after.duration_s == pytest.approx(before.duration_s, rel=0.01)
    assert after.pitch_hz == pytest.approx(before.pitch_hz, rel=0.02)
    assert after.loudness == pytest.approx(before.loudness, rel=0.05)
    assert [word.spoken_start for word in after.words] == [word.spoken_start for word in before.words]
    assert after.words[0].sample_offset == 0


@each_row("voice", ["m3", "f3", "Reed", "whisper"])
def test_a_seed_decides_what_a_new_host_says_first(voice: str) -> None:
    assert first_take(voice, 7, SENTENCE) == first_take(voice, 7, SENTENCE)


async def test_repeated_calls_give_fresh_takes(engine: Engine) -> None:
    takes = {(await hear(engine, said(SENTENCE, voice="f3"))).pcm for _ in range(4)}
    assert len(takes) == 4


async def test_a_job_has_the_pauses_of_a_text_read_in_one_go(engine: Engine) -> None:
    whole = await hear(engine, said("Hello there. How are you? I am fine."))
    parts = await hear(engine, said("Hello there.", "How are you?", "I am fine."))
    assert parts.duration_s == pytest.approx(whole.duration_s, abs=0.02)


@pytest.mark.parametrize("text", ["\U0001f600" * 100, "→ → →", "ꯀꯁꯂ " * 30, "བོད་ " * 20, "[[_^_]]"])
async def test_a_text_of_which_nothing_is_heard_is_refused(engine: Engine, text: str) -> None:
    with pytest.raises(UnsupportedText):
        await hear(engine, said(text))
    assert (await hear(engine, said(SENTENCE))).loudness > 1000


async def test_one_readable_word_is_enough(engine: Engine) -> None:
    assert (await hear(engine, said("\U0001f600 " * 50, "yes"))).loudness > 500


@pytest.mark.parametrize("styled", ["𝓗𝓮𝓵𝓵𝓸 there", "Ⓗⓔⓛⓛⓞ there", "Ｈｅｌｌｏ there"])
async def test_styled_letters_are_read_as_letters(engine: Engine, styled: str) -> None:
    plain, heard = await hear(engine, said("Hello there")), await hear(engine, said(styled))
    assert heard.duration_s == pytest.approx(plain.duration_s, rel=0.1)
    assert [word.spoken_start for word in heard.words] == [0, 6]


@pytest.mark.parametrize("text", ["W " * 60, "B. " * 60, "a\n" * 60])
async def test_a_letter_is_heard_as_often_as_it_is_written(engine: Engine, text: str) -> None:
    few = await hear(engine, said(text[: len(text) // 10]))
    assert (await hear(engine, said(text))).duration_s > 5 * few.duration_s
