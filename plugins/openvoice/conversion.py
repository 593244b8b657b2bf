"""Recordings on their way through the converter: one conversion, from its windows to their joined sound, and
the model of the host's batch loop, which takes the windows of all conversions.

Windows of one length go through the network together, whatever their voices are.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import numpy as np

from plugins.openvoice.model_format import HOP, RATE_HZ
from plugins.openvoice.networks import Networks, Stretch, ToneVoice
from plugins.openvoice.sound import at_model_rate, floats, noise_of, spectrum_of, to_pcm
from speech_engine.errors import UnsupportedOption
from speech_engine.host.batch_model import RowSpec, RowStep, RowWork
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
DECODER_FRAMES: Final = 14
"""The frames on either side of a moment of which the decoder makes its sound. The other networks hear
farther."""


def tau_of(job: SpeechJob, usual: float) -> float:
    """Return the share of noise that a client wants. Raise UnsupportedOption for an invalid one."""
    value = job.extra.get("tau", usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise UnsupportedOption("Invalid value for 'tau': it must be a number from 0 to 1.", detail="tau")
    return float(value)


def row_work(samples: int) -> RowWork:
    """Return the work of a window of which so many samples are heard."""
    return RowWork(samples / RATE_HZ, (samples + 2 * DECODER_FRAMES * HOP) / RATE_HZ, 1)


class ToneRow:
    """A prepared window, and after its step its sound. The samples from `first` to `last` are used of it;
    `first` may lie before the decoded ones, and `last` behind them."""

    def __init__(self, stretch: Stretch, first: int, last: int, work: RowWork) -> None:
        self.stretch = stretch
        self.work = work
        self.pcm = b""
        self._first, self._last = (each - stretch.first * HOP for each in (first, last))

    def take(self, sound: Any) -> None:
        before, after = max(0, -self._first), max(0, self._last - len(sound))
        used = np.pad(sound, (before, after))[self._first + before : self._last + before]
        self.pcm = to_pcm(used * np.float32(32767.0))


class ToneConversion:
    """A `Conversion` of the batch loop: one recording into one voice, used once."""

    sizes = SIZES
    rate_hz = RATE_HZ

    def __init__(self, job: SpeechJob, voice: ToneVoice, tau: float, networks: Networks) -> None:
        self.voice = voice
        self._tau = np.float32(tau)
        self._networks = networks
        self._joiner = Joiner(RATE_HZ, RATE_HZ)
        self._seed = secrets.randbits(63) if job.seed is None else job.seed
        self._source: Any = None

    async def at_rate(self, pcm: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """Yield the recording at the model's rate. Its beginning waits until the voice in it is known."""
        beginning = b""
        async with aclosing(at_model_rate(pcm)) as recording:
            async for data in recording:
                beginning += data
                if len(beginning) >= _SOURCE_BYTES:
                    break
            if beginning:
                sound = floats(beginning[:_SOURCE_BYTES])
                self._source = await asyncio.to_thread(self._networks.embed, sound)
                yield beginning
            async for data in recording:
                yield data

    def work(self, window: SoundWindow) -> RowWork:
        return row_work(window.end - window.start)

    def prepare(self, window: SoundWindow) -> ToneRow:
        """Return a window's spectrum and its noise."""
        # The mirror image before and behind the recording would take time, and change its ends.
        begin = max(0, window.begin)
        pcm = window.pcm[2 * (begin - window.begin) :]
        if window.is_last:
            pcm = pcm[: 2 * HOP * -(-(window.end - begin) // HOP)]
        spectrum = spectrum_of(floats(pcm))
        frames = spectrum.shape[1]
        placed = range(begin // HOP, begin // HOP + frames)
        noise = noise_of(self._seed, self._networks.width, placed) * self._tau
        first, last = self._joiner.bounds(window._replace(begin=begin))
        decoded = max(0, first // HOP - DECODER_FRAMES), min(frames, -(-last // HOP) + DECODER_FRAMES)
        stretch = Stretch(spectrum, noise, self._source, self.voice.numbers, *decoded)
        return ToneRow(stretch, first, last, self.work(window))

    def join(self, window: SoundWindow, pcm: bytes) -> bytes:
        return self._joiner.join(window, pcm)


STEP_S: Final = 1.0
"""The seconds of sound that a step makes of a second in it."""


class OpenVoiceModel:
    """A `BatchModel` that weighs its rows by their seconds. `tau` counts where a client names none."""

    rate_hz = RATE_HZ

    def __init__(self, networks: Networks, tau: float) -> None:
        self.networks = networks
        self.tau = tau

    def expected(self, job: SpeechJob, voice: ToneVoice | None) -> list[RowWork]:
        del voice
        lengths = SIZES.expected(round(job.estimated_s * RATE_HZ))
        return [row_work(each - 2 * SIZES.context) for each in lengths]

    def join(self, spec: RowSpec[ToneVoice]) -> ToneRow:
        row: ToneRow = spec.window
        return row

    def work(self, row: ToneRow) -> RowWork:
        return row.work

    def step(self, rows: Sequence[ToneRow]) -> list[RowStep]:
        by_lengths: dict[tuple[int, int, int], list[ToneRow]] = {}
        for row in rows:
            by_lengths.setdefault(row.stretch.lengths, []).append(row)
        for group in by_lengths.values():
            sounds = self.networks.convert([row.stretch for row in group])
            for row, sound in zip(group, sounds, strict=True):
                row.take(sound)
        return [RowStep(False, True)] * len(rows)

    def sound(self, row: ToneRow, is_last: bool) -> bytes:
        del is_last
        return row.pcm

    def leave(self, row: ToneRow) -> None:
        row.pcm = b""

    def warm_up_rows(self, weight: float, threads: int) -> list[ToneRow]:
        """Return two rows of noise, so that the time of a step is known before the first client comes."""
        del weight, threads
        sound = np.random.default_rng(0).standard_normal(3 * SIZES.context, np.float32)
        spectrum, voice = spectrum_of(sound), self.networks.embed(sound)
        noise = noise_of(0, self.networks.width, range(spectrum.shape[1]))
        first, last = SIZES.context, 2 * SIZES.context
        decoded = first // HOP - DECODER_FRAMES, last // HOP + DECODER_FRAMES
        stretch = Stretch(spectrum, noise, voice, voice, *decoded)
        return [ToneRow(stretch, first, last, row_work(SIZES.context)) for _ in range(2)]
