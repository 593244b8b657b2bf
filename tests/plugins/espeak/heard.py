"""What a listener would note of an answer: its audio, its words, its length and its pitch."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
import soxr  # type: ignore[import-untyped]
import structlog

from plugins.espeak.handover import Handover
from plugins.espeak.plugin import EspeakSettings
from plugins.espeak.worker import voxgate_register
from speech_engine import Audio, Context, Engine, Event, Hosted, SpeechJob, Word, Words
from speech_engine.loudness import Meter, lufs
from speech_engine.testing import collect, job
from tests.speech_engine.host.simulated_time import without_time

SAMPLE_RATE_HZ = 22050
VOICE = "m3"

_FRAME = 1024
_LOWEST_HZ, _HIGHEST_HZ = 45, 450


def espeak(settings: EspeakSettings | None = None) -> AbstractAsyncContextManager[Engine]:
    """The engine as its host makes it, in this process."""
    (plugin,) = voxgate_register()
    assert not isinstance(plugin.create, Hosted)
    return plugin.create("espeak", settings or EspeakSettings(), Context(log=structlog.get_logger()))


@asynccontextmanager
async def espeak_without_time() -> AsyncIterator[Engine]:
    """The engine for a test of simulated time, which stands still while its thread speaks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Handover, "_wait", without_time(Handover._wait))
        async with espeak() as engine:
            yield engine


class Heard(msgspec.Struct, frozen=True):
    pcm: bytes
    words: tuple[Word, ...]

    @property
    def samples(self) -> npt.NDArray[np.float64]:
        return np.frombuffer(self.pcm, "<i2").astype(np.float64)

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / 2 / SAMPLE_RATE_HZ

    @property
    def loudness(self) -> float:
        return float(np.sqrt(np.mean(self.samples**2))) if self.pcm else 0.0

    @property
    def pitch_hz(self) -> float:
        """The median over the loud frames, by autocorrelation."""
        spectra = self._spectra()
        correlation = np.fft.irfft(spectra)
        shortest, longest = SAMPLE_RATE_HZ // _HIGHEST_HZ, SAMPLE_RATE_HZ // _LOWEST_HZ
        lags = correlation[:, shortest:longest]
        is_voiced = lags.max(axis=1) > 0.4 * correlation[:, 0]
        return float(np.median(SAMPLE_RATE_HZ / (shortest + lags.argmax(axis=1)[is_voiced])))

    @property
    def colour_db(self) -> npt.NDArray[np.float64]:
        """How the energy lies over 24 bands between 80 Hz and 8 kHz, as wide as the ear's."""
        power = self._spectra().mean(axis=0)
        hz = np.arange(power.size) * SAMPLE_RATE_HZ / (2 * _FRAME)
        mel = np.log1p(hz / 700)
        edges = np.linspace(np.log1p(80 / 700), np.log1p(8000 / 700), 25)
        bands = np.histogram(mel, edges, weights=power)[0]
        return np.asarray(10 * np.log10(bands / bands.sum() + 1e-9))

    def _spectra(self) -> npt.NDArray[np.float64]:
        frames = np.lib.stride_tricks.sliding_window_view(self.samples, _FRAME)[:: _FRAME // 4]
        energy = np.mean(frames**2, axis=1)
        loud = frames[energy > 0.02 * energy.max()] * np.hanning(_FRAME)
        return np.asarray(np.abs(np.fft.rfft(loud, 2 * _FRAME)) ** 2)


def loudness_lufs(heard: Heard) -> float:
    """The loudness of ITU-R BS.1770, by the server's own meter."""
    meter = Meter(SAMPLE_RATE_HZ)
    meter.feed(heard.pcm)
    found = lufs(meter.powers)
    assert found is not None
    return found


def true_peak_db(heard: Heard) -> float:
    """The highest peak, also between the samples: at four times the rate, as the standard says."""
    fine = soxr.resample(heard.samples / 32768, SAMPLE_RATE_HZ, 4 * SAMPLE_RATE_HZ, quality="HQ")
    return float(20 * np.log10(np.abs(fine).max()))


def heard_in(events: Sequence[Event]) -> Heard:
    return Heard(
        b"".join(event.pcm for event in events if isinstance(event, Audio)),
        tuple(word for event in events if isinstance(event, Words) for word in event.words),
    )


async def hear(engine: Engine, job: SpeechJob) -> Heard:
    return heard_in(await collect(engine, job))


def said(*texts: str, language: str = "en", voice: str = VOICE, **changes: float | int | None) -> SpeechJob:
    """A job in the engine's only model; `changes` are further fields of it."""
    return msgspec.structs.replace(job(*texts, voice=voice, language=language), **changes)
