"""The whole way of a sound, from an engine's PCM to a file of the right length and pitch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.audio.formats import FORMATS, USUAL_FORMS, SoundFailed
from proxy.audio.sound import FADE_SAMPLES, Sound
from speech_engine import EngineFailed
from tests.proxy.audio.pieces import body, cut, encoded
from tests.sound import PADDING_S, decoded, tone
from tests.tables import each_row

pytestmark = pytest.mark.slow

FADED = 2 * FADE_SAMPLES


@pytest.mark.parametrize("audio_format", FORMATS)
@settings(max_examples=6, deadline=None)
@given(
    rate_hz=st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000]),
    factor=st.sampled_from([0.25, 0.5, 1.0, 1.5, 3.0, 4.0]),
    sizes=st.lists(st.integers(1, 9_600), min_size=1, max_size=4),
)
def test_every_way_through_ends_in_the_right_sound(
    audio_format: str, rate_hz: int, factor: float, sizes: list[int]
) -> None:
    seconds = 0.6 * max(factor, 1.0)
    pcm = tone(440, seconds, rate_hz)
    form = USUAL_FORMS[audio_format]
    sound = Sound(rate_hz, form, factor=factor)
    chunks = encoded(sound, cut(pcm, sizes))
    samples = sum(chunk.samples for chunk in chunks)
    assert samples == pytest.approx(len(pcm) / 2 * form.sample_rate_hz / rate_hz / factor, abs=1)
    heard = decoded(body(chunks), audio_format)
    assert -0.001 <= heard.seconds - samples / form.sample_rate_hz <= PADDING_S[audio_format]
    assert heard.pitch_hz == pytest.approx(440, rel=0.03)
    assert heard.loudness == pytest.approx(0.237, rel=0.15)


def test_a_sound_that_needs_nothing_comes_out_bit_for_bit_up_to_its_faded_end() -> None:
    pcm = tone(440, 0.3)
    out = body(encoded(Sound(24_000, USUAL_FORMS["pcm"]), cut(pcm, [1, 4_799, 3])))
    assert len(out) == len(pcm)
    assert out[:-FADED] == pcm[:-FADED]


@each_row("audio_format", FORMATS)
@each_row("factor", [0.25, 0.5, 0.8, 1.0, 1.5, 2.0, 4.0])
def test_every_sound_ends_softly(audio_format: str, factor: float) -> None:
    """The engine stops at the top of a wave of a third of full scale."""
    pcm = tone(440, 0.6 * max(factor, 1.0) + 0.25 / 440, 22_050)
    assert abs(int.from_bytes(pcm[-2:], "little", signed=True)) > 10_000
    sound = Sound(22_050, USUAL_FORMS[audio_format], factor=factor)
    heard = decoded(body(encoded(sound, cut(pcm, [4_410]))), audio_format)
    assert np.abs(heard.samples[-heard.sample_rate_hz // 2_000 :]).max() < 0.02
    assert np.abs(heard.samples[-heard.sample_rate_hz // 5 :]).max() > 0.2


def test_a_chunk_may_end_inside_a_sample() -> None:
    pcm = tone(440, 0.3, 22_050)
    ragged = body(encoded(Sound(22_050, USUAL_FORMS["wav"], factor=1.5), cut(pcm, [1, 333])))
    assert ragged == body(encoded(Sound(22_050, USUAL_FORMS["wav"], factor=1.5), cut(pcm, [1_000])))


@each_row("rate_hz", [0, 1, 7_999, 192_001])
def test_an_engine_with_an_absurd_rate_has_failed(rate_hz: int) -> None:
    with pytest.raises(EngineFailed, match=f"at {rate_hz} Hz"):
        Sound(rate_hz, USUAL_FORMS["pcm"])


def test_a_speed_that_rounds_to_one_costs_no_step() -> None:
    pcm = tone(440, 0.1)
    out = body(encoded(Sound(24_000, USUAL_FORMS["pcm"], factor=3 * 1.1 / 3.3), cut(pcm, [960])))
    assert out[:-FADED] == pcm[:-FADED]


def test_a_sound_closed_midway_takes_no_more() -> None:
    sound = Sound(22_050, USUAL_FORMS["mp3"], factor=1.5)
    sound.feed(tone(440, 0.2, 22_050))
    sound.close()
    sound.close()
    with pytest.raises(SoundFailed, match="closed"):
        sound.flush()
