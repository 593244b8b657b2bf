"""How recordings are rated: clean ones, spoilt ones, and what is no speech at all."""

import numpy as np
import pytest

from proxy.audio.recordings.master import Master
from proxy.audio.recordings.measures import measure, rate_recording
from proxy.audio.recordings.recording import SpeechRecording
from tests.proxy.audio.recordings import speech as sounds
from tests.proxy.audio.recordings.clips import Samples, sine
from tests.proxy.audio.recordings.speech import RATE_HZ, VOICES, quality_of, with_noise
from tests.tables import each_row

TEN_S = 10 * RATE_HZ
NOISE = np.random.default_rng(2).standard_normal(TEN_S)
ON_AND_OFF = np.sin(2 * np.pi * 2 * np.arange(TEN_S) / RATE_HZ) > 0


@pytest.fixture(params=VOICES)
async def speech(request: pytest.FixtureRequest) -> Samples:
    return await sounds.speech(request.param)


async def test_a_voice_is_rated_by_the_worst_of_it(speech: Samples) -> None:
    clean = quality_of(speech)
    assert (clean.rating, clean.reasons, clean.refusal) == ("high", (), "")
    telephone = sounds.over_a_telephone(speech)
    rated = {
        "20 dB": (with_noise(speech, 20), "medium", "noise behind the voice"),
        "10 dB": (with_noise(speech, 10), "low", "noise behind the voice"),
        "5 dB": (with_noise(speech, 5), "low", "noise behind the voice"),
        "clipped": (np.clip(speech * 8, -1, 1), "low", "distorted"),
        "telephone": (telephone, "medium", "telephone"),
        "quiet": (speech * 0.02, "medium", "very quiet"),
    }
    for name, (samples, rating, reason) in rated.items():
        quality = quality_of(samples)
        assert (name, quality.rating, quality.refusal) == (name, rating, "")
        assert reason in quality.reasons[0], name


async def test_the_noise_the_treble_and_the_place_of_speech_are_measured(speech: Samples) -> None:
    noisy = quality_of(with_noise(speech, 20))
    assert noisy.snr_db == pytest.approx(20, abs=2.5)
    assert noisy.bandwidth_hz == pytest.approx(quality_of(speech).bandwidth_hz, abs=800)
    assert quality_of(sounds.over_a_telephone(speech)).bandwidth_hz == pytest.approx(3850, abs=150)
    placed = quality_of(np.concatenate([np.zeros(RATE_HZ), speech, np.zeros(2 * RATE_HZ)]))
    alone = quality_of(speech)
    assert placed.starts_s == pytest.approx(alone.starts_s + 1, abs=0.1)
    assert placed.ends_s == pytest.approx(alone.ends_s + 1, abs=0.1)
    assert placed.speech_s == pytest.approx(alone.speech_s, abs=0.6)


async def test_speech_without_a_pause_is_not_blamed_for_noise() -> None:
    trimmed = await sounds.speech("f3", pause_s=0.0)
    quality = quality_of(trimmed)
    assert quality.rating != "low"
    assert not [reason for reason in quality.reasons if "noise behind" in reason]


async def test_a_short_clip_is_refused_with_what_it_has_and_what_it_needs() -> None:
    short = await sounds.speech("m3", "Hello there, my friend.")
    assert quality_of(short).refusal == "it has 1.4 seconds of speech, and at least 3 are needed"


@each_row(
    ("samples", "said"),
    [
        (np.zeros(TEN_S), "silent"),
        (1e-4 * NOISE, "silent"),
        (0.1 * NOISE, "no speech"),
        (0.1 * np.cumsum(NOISE) / np.abs(np.cumsum(NOISE)).max(), "no speech"),
        (0.1 * NOISE * ON_AND_OFF, "no speech"),
        (sine(440, 10.0, RATE_HZ), "no speech"),
        (sine(440, 10.0, RATE_HZ) + 0.03 * NOISE, "no speech"),
        (sine(440, 10.0, RATE_HZ) * ON_AND_OFF, "no speech"),
        (np.zeros(0), "silent"),
        (np.full(1, 0.5), "no speech"),
    ],
    ids=[
        "silence",
        "hiss",
        "noise",
        "rumble",
        "bursts",
        "tone",
        "tone in noise",
        "beeps",
        "empty",
        "a click",
    ],
)
def test_what_nobody_speaks_in_is_refused(samples: Samples, said: str) -> None:
    quality = quality_of(samples)
    assert (quality.rating, quality.reasons) == ("low", ())
    assert said in quality.refusal


def test_music_is_refused_unless_it_moves_as_speech_does() -> None:
    """Generated music, that is. No promise: songs with a voice in them may well pass."""
    assert "music" in quality_of(sounds.music(10.0)).refusal


@each_row("rate_hz", [8_000, 44_100, 192_000])
async def test_any_rate_is_measured_alike(rate_hz: int) -> None:
    samples = sounds.resampled(await sounds.speech(), RATE_HZ, rate_hz)
    usual = quality_of(await sounds.speech())
    quality = quality_of(samples, rate_hz)
    assert quality.speech_s == pytest.approx(usual.speech_s, abs=0.5)
    assert quality.rating == ("medium" if rate_hz == 8_000 else "high")


async def test_a_recording_is_rated_beside_the_event_loop() -> None:
    master = sounds.master_of(await sounds.speech())
    whole = Master(master)
    recording = SpeechRecording(master, whole.rate_hz, whole.seconds, 1, "pcm_s16le")
    assert (await rate_recording(recording)).rating == "high"
    assert measure(whole).clipped == 0
