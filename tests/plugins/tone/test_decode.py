"""The tone engine's sound says its text, whatever codec, rate or offset lies between; or it is an error."""

import asyncio

import numpy as np
import pytest

# It ships no types.
import soxr  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.tone.decode import DamagedFrame, decode
from tests.plugins.tone.ears import Int16, spoken, through
from tests.tables import each_row, soak

pytestmark = pytest.mark.slow

TEXTS = (
    "Hello world.",
    "Olá, você está bem?",
    "สวัสดีครับ",
    "👩\u200d👩\u200d👧 👍🏽",
    "ÿðððð",
    "oooo UUUU",
    "a",
)

CODECS = {
    "mp3": ("libmp3lame", "mp3", 64_000),
    "mp3 at 32k": ("libmp3lame", "mp3", 32_000),
    "opus": ("libopus", "ogg", 32_000),
    "opus at 16k": ("libopus", "ogg", 16_000),
    "aac": ("aac", "adts", 64_000),
    "flac": ("flac", "flac", None),
    "wav": ("pcm_s16le", "wav", None),
}
every_codec = pytest.mark.parametrize("codec", CODECS)


@every_codec
async def test_every_text_comes_back_through_a_codec(codec: str) -> None:
    name, container, bit_rate = CODECS[codec]
    heard, rate_hz = through(name, container, bit_rate, await spoken(*TEXTS), 24_000)
    assert decode(heard, rate_hz) == TEXTS


@pytest.mark.parametrize("number", [5, *soak(20)])
@each_row("codec", ["mp3", "opus", "aac", "flac"])
async def test_many_sentences_come_back_through_a_codec(codec: str, number: int) -> None:
    sentences = tuple(
        f"Sentence {at}: the quick brown fox jumps over the lazy dog once again." for at in range(number)
    )
    name, container, bit_rate = CODECS[codec]
    heard, rate_hz = through(name, container, bit_rate, await spoken(*sentences), 24_000)
    assert decode(heard, rate_hz) == sentences


@each_row("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
async def test_a_text_comes_back_through_resampling(rate_hz: int) -> None:
    resampled = soxr.resample(await spoken(*TEXTS), 24_000, rate_hz)
    assert decode(resampled, rate_hz) == TEXTS
    assert decode(soxr.resample(resampled, rate_hz, 24_000), 24_000) == TEXTS


@each_row("rate_hz", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000])
@each_row("speed", [0.25, 0.7, 1.0, 1.7, 3.3, 4.0])
async def test_a_text_comes_back_at_every_rate_and_speed(rate_hz: int, speed: float) -> None:
    assert decode(await spoken(*TEXTS, sample_rate_hz=rate_hz, speed=speed), rate_hz, speed) == TEXTS


@given(texts=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=4), offset=st.integers(0, 2_000))
@settings(max_examples=30)
def test_any_text_comes_back_from_any_place(texts: list[str], offset: int) -> None:
    pcm = np.concatenate([np.zeros(offset, np.int16), asyncio.run(spoken(*texts))])
    assert decode(pcm, 24_000) == tuple(texts)


async def test_a_text_comes_back_quietly_and_with_noise() -> None:
    noise = np.random.default_rng(7).normal(0, 200, 100_000)
    pcm = await spoken("Hello world.", "Bye.")
    assert decode(pcm / 10 / 32768, 24_000) == ("Hello world.", "Bye.")
    assert decode(pcm + noise[: len(pcm)], 24_000) == ("Hello world.", "Bye.")


async def two_frames() -> tuple[Int16, int]:
    first, second = await spoken("The first one."), await spoken("The second.")
    return np.concatenate([first, second]), len(first)


async def test_a_frame_with_a_wrong_symbol_is_an_error_that_says_where() -> None:
    pcm, second = await two_frames()
    damaged = pcm.copy()
    damaged[second + 9_600 : second + 10_800] = damaged[second : second + 1_200]
    with pytest.raises(DamagedFrame, match="damaged") as caught:
        decode(damaged, 24_000)
    assert caught.value.at_s == pytest.approx(second / 24_000, abs=0.02)
    assert "second" not in str(caught.value)


async def test_a_frame_that_is_cut_off_is_an_error() -> None:
    pcm, second = await two_frames()
    assert decode(pcm[:second], 24_000) == ("The first one.",)
    with pytest.raises(DamagedFrame, match="cut off"):
        decode(pcm[: second + 8_000], 24_000)


async def test_dropped_and_doubled_samples_are_an_error() -> None:
    pcm, _ = await two_frames()
    for torn in (np.delete(pcm, slice(9_000, 9_480)), np.insert(pcm, 9_000, pcm[8_520:9_000])):
        with pytest.raises(DamagedFrame):
            decode(torn, 24_000)


async def test_a_frame_that_lost_its_preamble_is_an_error() -> None:
    pcm, second = await two_frames()
    for start in (0, second):
        headless = pcm.copy()
        headless[start : start + 4_200] = 0
        with pytest.raises(DamagedFrame, match="belongs to no frame"):
            decode(headless, 24_000)


@each_row("samples", [0, 1, 48_000])
def test_a_recording_without_a_frame_is_an_error(samples: int) -> None:
    with pytest.raises(DamagedFrame, match="no frame"):
        decode(np.zeros(samples, np.int16), 24_000)


async def test_the_wrong_speed_is_an_error() -> None:
    with pytest.raises(DamagedFrame):
        decode(await spoken("Hello world."), 24_000, speed=2.0)


def test_stereo_and_low_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="mono"):
        decode(np.zeros((2, 100), np.int16), 24_000)
    with pytest.raises(ValueError, match="8 kHz"):
        decode(np.zeros(100, np.int16), 4_000)
