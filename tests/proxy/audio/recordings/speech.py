"""What people send, as far as a machine can make it: the embedded voice, clean and spoilt."""

import numpy as np
import soxr  # type: ignore[import-untyped]

from policies.sample_quality import SampleQuality
from proxy.audio.recordings.master import make_master
from proxy.audio.recordings.measures import rate_master
from tests.plugins.espeak.heard import SAMPLE_RATE_HZ, espeak, hear, said
from tests.proxy.audio.recordings.clips import Samples

RATE_HZ = SAMPLE_RATE_HZ
SENTENCES = (
    "I am the owner of this voice, and I consent to using it for synthetic speech.",
    "The quick brown fox jumps over the lazy dog, near the bank of the river.",
    "Please call Stella, and ask her to bring these things with her from the store.",
)
VOICES = ("m3", "f3", "klatt4", "Annie")


async def speech(voice: str = "m3", *texts: str, pause_s: float = 0.4) -> Samples:
    """Sentences at 22 kHz, with silence before and after them."""
    async with espeak() as engine:
        heard = await hear(engine, said(*(texts or SENTENCES), voice=voice, seed=1))
    return np.pad(heard.samples / 32768 * 0.8, round(pause_s * RATE_HZ))


def with_noise(samples: Samples, snr_db: float, seed: int = 1) -> Samples:
    noise = np.random.default_rng(seed).standard_normal(len(samples))
    return np.asarray(samples + noise * np.sqrt(np.mean(samples**2) / 10 ** (snr_db / 10)))


def resampled(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    return np.asarray(soxr.resample(samples, from_hz, to_hz), np.float64)


def over_a_telephone(samples: Samples) -> Samples:
    return resampled(resampled(samples, RATE_HZ, 8000), 8000, RATE_HZ)


def music(seconds: float) -> Samples:
    """A melody over a bass, with drums."""
    tune = [_note(hz, 0.25) for hz in (262, 330, 392, 523, 392, 330)]
    bass = [_note(hz, 1.0) for hz in (65, 49, 55, 44)]
    size = round(seconds * RATE_HZ)
    times = np.arange(size) / RATE_HZ
    drums = np.random.default_rng(1).standard_normal(size) * np.exp(-12 * (times % 0.5))
    return 0.1 * (np.resize(np.concatenate(tune), size) + np.resize(np.concatenate(bass), size) + drums)


def _note(pitch_hz: float, seconds: float) -> Samples:
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    waves = [np.sin(2 * np.pi * pitch_hz * n * times) / n for n in range(1, 7)]
    return np.asarray(np.sum(waves, axis=0) * np.exp(-3 * times))


def master_of(samples: Samples, rate_hz: int = RATE_HZ) -> bytes:
    whole = np.clip(np.rint(samples * 32767), -32767, 32767).astype("<i2")
    return make_master(whole.tobytes(), rate_hz, 2)


def quality_of(samples: Samples, rate_hz: int = RATE_HZ) -> SampleQuality:
    return rate_master(master_of(samples, rate_hz))
