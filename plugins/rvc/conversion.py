"""One conversion: its options, the sizes of its windows, their preparation, and their joining."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import signal

from plugins.rvc.checkpoint import RvcVoice
from plugins.rvc.hubert import HUBERT_HZ
from plugins.rvc.pitch import coarse, praat_pitch
from speech_engine.errors import UnsupportedOption
from speech_engine.host.batch_model import RowWork
from speech_engine.host.joining import Joiner
from speech_engine.host.windows import SoundWindow, WindowSizes
from speech_engine.values import SpeechJob


class PlacedNoise:
    """Normal numbers by seed and kind: `at_once` numbers for each place, drawn in blocks of places."""

    def __init__(self, seed: int, kind: str, at_once: int, block: int) -> None:
        self._name = f"{seed}/{kind}"
        self._at_once = at_once
        self._block = block

    def between(self, begin: int, end: int) -> Any:
        """Return (numbers, places) from `begin` to `end`. `begin` may lie before the recording."""
        first, last = begin // self._block, (end - 1) // self._block
        drawn = torch.cat([self._drawn(number) for number in range(first, last + 1)], dim=1)
        return drawn[:, begin - first * self._block : end - first * self._block]

    def _drawn(self, number: int) -> Any:
        digest = blake2b(f"{self._name}/{number}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest) >> 1)
        return torch.randn((self._at_once, self._block), generator=generator)


SOURCE_HZ = 24_000
"""The rate of the recordings from the server."""
FRAMES_SHORT = 2
"""HuBERT makes fewer frames at the end, because it needs the sound after them."""

SIZES = WindowSizes(
    first=(SOURCE_HZ, 2 * SOURCE_HZ),
    usual=5 * SOURCE_HZ,
    context=SOURCE_HZ // 2,
    grid=SOURCE_HZ // 50,
    last=(3 * SOURCE_HZ,),
)
"""One second, two, and then five, so that the first sound comes soon. The grid is a frame of HuBERT."""

_FRAME = SOURCE_HZ // 100
_HIGH_PASS = signal.butter(5, 48, btype="high", fs=HUBERT_HZ)
_LATENT_BLOCK = 100
_ALL_OF_IT = 0.5
_USUALLY_LOUD = 0.05
"""The least value for the loudest sample, until the loud parts come. A hum before a word is quieter."""


class ConversionOptions(NamedTuple):
    """The options of a client.

    `index_rate` is the share of the voice's own features. `protect` below 0.5 reduces it for frames without
    pitch. `rms_mix_rate` is the share of the sound's own loudness; the rest is the recording's.
    """

    semitones: float = 0.0
    index_rate: float = 0.75
    protect: float = 0.33
    f0_method: str = "pm"
    rms_mix_rate: float = 1.0

    @property
    def protects(self) -> bool:
        return self.protect < _ALL_OF_IT


def options_of(job: SpeechJob, methods: tuple[str, ...]) -> ConversionOptions:
    """Return a job's options. Raise UnsupportedOption for an invalid one. The best of `methods` is first."""
    extra, usual = job.extra, ConversionOptions()
    method = extra.get("f0_method", methods[0])
    if method not in methods:
        message = f"Invalid value for 'f0_method': it must be one of {', '.join(methods)}."
        raise UnsupportedOption(message, detail="f0_method")
    return ConversionOptions(
        semitones=job.pitch,
        index_rate=_number(extra, "index_rate", usual.index_rate, 1.0),
        protect=_number(extra, "protect", usual.protect, _ALL_OF_IT),
        f0_method=method,
        rms_mix_rate=_number(extra, "rms_mix_rate", usual.rms_mix_rate, 1.0),
    )


def _number(extra: Mapping[str, Any], name: str, usual: float, most: float) -> float:
    value = extra.get(name, usual)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= most:
        message = f"Invalid value for '{name}': it must be a number from 0 to {most:g}."
        raise UnsupportedOption(message, detail=name)
    return float(value)


class Prepared(NamedTuple):
    """A prepared window. The samples of its sound from `first` to `last` are used.

    `hz` is None if the model finds the pitch. A voice without pitch has neither `hz` nor `source`.
    """

    sound: Any
    hz: Any
    latent: Any
    source: Any
    options: ConversionOptions
    first: int
    last: int
    seconds: float
    weight: float


class VoiceConversion:
    """A `Conversion` of the batch loop: one recording into one voice, used once."""

    sizes = SIZES

    def __init__(self, job: SpeechJob, voice: RvcVoice, options: ConversionOptions) -> None:
        layout = voice.layout
        self._voice = voice
        self._options = options
        self._joiner = Joiner(SOURCE_HZ, layout.rate_hz)
        seed = secrets.randbits(63) if job.seed is None else job.seed
        self._latent = PlacedNoise(seed, "latent", layout.channels, _LATENT_BLOCK)
        self._source = PlacedNoise(seed, "source", 1, layout.rate_hz)
        self._loudest = _USUALLY_LOUD

    @property
    def voice(self) -> RvcVoice:
        return self._voice

    @property
    def rate_hz(self) -> int:
        return self._voice.layout.rate_hz

    def work(self, window: SoundWindow) -> RowWork:
        return work_of(window, self._voice.cost)

    def prepare(self, window: SoundWindow) -> Prepared:
        """Return a window's sound for HuBERT, its pitch and its noise."""
        layout = self._voice.layout
        sound = hubert_input(window.pcm)
        self._loudest = max(self._loudest, float(np.abs(sound).max()))
        # Without the last frames, which are not made.
        first_frame = window.begin // _FRAME
        frames = first_frame, first_frame + len(sound) * 100 // HUBERT_HZ - FRAMES_SHORT
        needs_pitch = layout.has_pitch and self._options.f0_method == "pm"
        first, last = self._joiner.bounds(window)
        work = work_of(window, self._voice.cost)
        return Prepared(
            sound=torch.from_numpy(sound),
            hz=torch.from_numpy(praat_pitch(sound, self._loudest)) if needs_pitch else None,
            latent=self._latent.between(*frames),
            source=self._source.between(frames[0] * layout.hop, frames[1] * layout.hop)[0]
            if layout.has_pitch
            else None,
            options=self._options,
            first=first,
            last=last,
            seconds=work.seconds,
            weight=work.weight,
        )

    def join(self, window: SoundWindow, pcm: bytes) -> bytes:
        return self._joiner.join(window, pcm)


def work_of(window: SoundWindow, cost: float) -> RowWork:
    """Return the work of a window: one step, whose weight is its length in seconds times the voice's cost."""
    seconds = len(window.pcm) / 2 / SOURCE_HZ
    return RowWork((window.end - window.start) / SOURCE_HZ, seconds * cost, 1)


def hubert_input(pcm: bytes) -> Any:
    """Return a window at HuBERT's rate, without frequencies below speech."""
    sound = np.frombuffer(pcm, "<i2").astype(np.float64) / 32768.0
    slow = signal.resample_poly(sound, HUBERT_HZ // 8000, SOURCE_HZ // 8000)
    return signal.filtfilt(*_HIGH_PASS, slow).astype(np.float32)


def moved(hz: Any, semitones: float) -> Any:
    return hz * 2.0 ** (semitones / 12.0)


def coarse_of(hz: Any) -> Any:
    return torch.from_numpy(coarse(hz.cpu().numpy())).to(hz.device)
