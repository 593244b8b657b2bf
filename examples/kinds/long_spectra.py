"""A comparer: two speakers are alike if the mean spectra of their recordings are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

import speech_engine as se
from speech_engine.plugin import NoSettings

WINDOW = 1024  # 64 ms at COMPARED_RATE_HZ


def mean_spectrum(pcm: bytes) -> Any:
    samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
    windows = np.resize(samples, (max(1, len(samples) // WINDOW), WINDOW)) * np.hanning(WINDOW)
    spectrum = np.abs(np.fft.rfft(windows)).mean(axis=0)
    return spectrum / (np.linalg.norm(spectrum) or 1.0)


class LongSpectra:
    scale = se.SpeakerScale(same=0.9, other=0.6)  # made up: measure yours with recordings of people

    def compare(self, one: bytes, other: bytes) -> float:
        return float(mean_spectrum(one) @ mean_spectrum(other))


@asynccontextmanager
async def create(name: str, settings: NoSettings, context: se.Context) -> AsyncIterator[LongSpectra]:
    yield LongSpectra()


def voxgate_register() -> tuple[se.Plugin[NoSettings], ...]:
    return (se.Plugin(kind="comparer", name="long-spectra", settings=NoSettings, create=create),)
