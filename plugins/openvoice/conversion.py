"""One conversion: its windows, their preparation, the voice that speaks in it, and their joining."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final, NamedTuple

import numpy as np

from plugins.openvoice.networks import Networks, Stretch
from plugins.openvoice.sizes import HOP, RATE_HZ
from plugins.openvoice.sound import PlacedNoise, Resampler, floats, spectrum_of
from plugins.openvoice.voices import ToneVoice
from speech_engine.errors import UnsupportedOption
from speech_engine.host.batch_model import RowWork
from speech_engine.host.joining import Joiner
from speech_engine.host.windows import SoundWindow, WindowSizes
from speech_engine.values import SpeechJob

_HALF_S: Final = RATE_HZ // 2 // HOP * HOP
SIZES: Final = WindowSizes(
    first=(_HALF_S,), usual=4 * _HALF_S, context=_HALF_S, grid=HOP, last=(2 * _HALF_S,)
)
"""Half a second, so that the first sound comes soon, and then two. They count samples at the model's rate."""
SOURCE_S: Final = 2.0
"""The beginning of a recording whose voice counts as that of the whole."""
_SOURCE_BYTES: Final = round(2 * SOURCE_S * RATE_HZ)
_LEAST_SAMPLES: Final = 8 * HOP
DECODER_FRAMES: Final = 14
"""The frames on either side of a moment of which the decoder makes its sound. The other networks hear
farther."""


def tau_of(job: SpeechJob, usual: float) -> float:
    """Return the share of noise that a client wants. Raise UnsupportedOption for an invalid one."""
    value = job.extra.get("tau", usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise UnsupportedOption("Invalid value for 'tau': it must be a number from 0 to 1.", detail="tau")
    return float(value)


class Prepared(NamedTuple):
    """A prepared window. The samples of its sound from `first` to `last` are used. `first` may lie before its
    sound, and `last` behind it."""

    stretch: Stretch
    first: int
    last: int
    work: RowWork

    def used(self, sound: Any) -> Any:
        """Return the used samples of the decoded ones."""
        first, last = (each - self.stretch.first * HOP for each in (self.first, self.last))
        before, after = max(0, -first), max(0, last - len(sound))
        return np.pad(sound, (before, after))[first + before : last + before]


class ToneConversion:
    """A `Conversion` of the batch loop: one recording into one voice, used once."""

    sizes = SIZES
    rate_hz = RATE_HZ

    def __init__(self, job: SpeechJob, voice: ToneVoice, tau: float, networks: Networks) -> None:
        self._voice = voice
        self._tau = np.float32(tau)
        self._networks = networks
        self._joiner = Joiner(RATE_HZ, RATE_HZ)
        seed = secrets.randbits(63) if job.seed is None else job.seed
        self._noise = PlacedNoise(seed, networks.sizes.width)
        self._source: Any = None

    @property
    def voice(self) -> ToneVoice:
        return self._voice

    async def at_rate(self, pcm: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the recording at the model's rate. Its beginning waits until the voice in it is known."""
        resampler = Resampler()
        beginning = bytearray()
        async for data in pcm:
            made = resampler.feed(data)
            if self._source is None:
                beginning += made
                if len(beginning) < _SOURCE_BYTES:
                    continue
                made = await self._hear(beginning)
            yield made
        made = resampler.finish()
        if self._source is None and (beginning or made):
            made = await self._hear(beginning + made)
        yield made

    async def _hear(self, beginning: bytearray) -> bytes:
        """Find the voice that speaks, and return the beginning."""
        sound = floats(beginning[:_SOURCE_BYTES])
        self._source = await asyncio.to_thread(self._networks.embed, sound)
        return bytes(beginning)

    def work(self, window: SoundWindow) -> RowWork:
        return work_of(window)

    def prepare(self, window: SoundWindow) -> Prepared:
        """Return a window's spectrum and its noise."""
        window = _inside(window)
        spectrum = spectrum_of(floats(window.pcm))
        begin, frames = window.begin // HOP, spectrum.shape[1]
        noise = self._noise.between(begin, begin + frames) * self._tau
        first, last = self._joiner.bounds(window)
        decoded = max(0, first // HOP - DECODER_FRAMES), min(frames, -(-last // HOP) + DECODER_FRAMES)
        return Prepared(Stretch(spectrum, noise, self._source, *decoded), first, last, work_of(window))

    def join(self, window: SoundWindow, pcm: bytes) -> bytes:
        return self._joiner.join(window, pcm)


def _inside(window: SoundWindow) -> SoundWindow:
    """Return a window without the recording's mirror image, which would take time, and change its ends."""
    before = max(0, -window.begin)
    begin = window.begin + before
    pcm = window.pcm[2 * before :]
    if window.is_last:
        whole = -(-(window.end - begin) // HOP) * HOP
        pcm = pcm[: 2 * max(whole, _LEAST_SAMPLES)]
    return window._replace(begin=begin, pcm=pcm)


def work_of(window: SoundWindow) -> RowWork:
    return row_work(window.end - window.start)


def row_work(samples: int, steps: int = 1) -> RowWork:
    """Return the work of a window of which so many samples are heard."""
    return RowWork(samples / RATE_HZ, (samples + 2 * DECODER_FRAMES * HOP) / RATE_HZ, steps)
