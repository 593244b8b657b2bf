"""RVC for the host's batch loop, which puts windows of recordings in and takes the sound of each window out.

A step runs HuBERT once for the windows of all voices, and then each voice's network for its own windows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import interpolate

from plugins.rvc.checkpoint import RvcVoice
from plugins.rvc.conversion import SIZES, SOURCE_HZ, ConversionOptions, Prepared, coarse_of, moved
from plugins.rvc.generator import sound_of
from plugins.rvc.hubert import HUBERT_HZ, Hubert
from plugins.rvc.loudness import followed
from plugins.rvc.networks import tell_layers
from plugins.rvc.rmvpe import Rmvpe
from plugins.rvc.voice_rules import largest_layer
from speech_engine.host.batch_model import OutOfMemory, RowSpec, RowStep, RowWork
from speech_engine.values import SpeechJob

STATED_HZ = 48_000
"""The rate in the model's description. Each voice has its own rate."""
STEP_S = 1.0
"""The seconds of sound that a step makes of a second in it."""

_WINDOWS_AT_ONCE = 8
"""The windows that HuBERT reads at once. Its first layers need 80 MB for each."""
_MOST_OF_A_LAYER = 30_000_000_000
"""The multiplications of a voice's largest layer for the rows of one pass. A CPU needs seconds for them, and
gives no sign of life within a layer. They are enough to keep a GPU busy."""


class RvcRow:
    """One window that becomes sound: `made` has its 16-bit samples after a step. A row that warms up takes
    several steps."""

    def __init__(self, voice: RvcVoice, window: Prepared, steps: int = 1) -> None:
        self.voice = voice
        self.window = window
        self.steps = steps
        self.taken = 0
        self.made: Any = None

    @property
    def is_over(self) -> bool:
        return self.taken >= self.steps


class WindowFeatures(NamedTuple):
    """The features of a window (frames, width), fifty a second, and its pitch in Hz, a hundred a second.

    `hz` is None for a voice without pitch.
    """

    features: Any
    hz: Any


class RvcModel:
    """A `BatchModel` that weighs its rows by their seconds and by the cost of their voice."""

    rate_hz = STATED_HZ

    def __init__(self, hubert: Hubert, rmvpe: Rmvpe | None, tick: Callable[[], None]) -> None:
        self._hubert = hubert
        self._rmvpe = rmvpe
        self._device = hubert.device
        for network in (hubert, rmvpe):
            if network is not None:
                tell_layers(network, tick)

    @property
    def hears_v1(self) -> bool:
        """Whether HuBERT has the last layer that voices of version 1 need."""
        return self._hubert.final_proj is not None

    @property
    def methods(self) -> tuple[str, ...]:
        return ("pm",) if self._rmvpe is None else ("rmvpe", "pm")

    def expected(self, job: SpeechJob, voice: RvcVoice | None) -> list[RowWork]:
        cost = 1.0 if voice is None else voice.cost
        lengths = SIZES.expected(round(job.estimated_s * SOURCE_HZ))
        return [
            RowWork((length - 2 * SIZES.context) / SOURCE_HZ, length / SOURCE_HZ * cost, 1)
            for length in lengths
        ]

    def join(self, spec: RowSpec[RvcVoice]) -> RvcRow:
        return RvcRow(spec.voice, spec.window)

    def work(self, row: RvcRow) -> RowWork:
        return RowWork(row.window.seconds, row.window.weight, row.steps)

    def step(self, rows: Sequence[RvcRow]) -> list[RowStep]:
        try:
            with torch.inference_mode():
                made = self._made(rows)
        except torch.OutOfMemoryError as error:
            # The frames of the traceback hold the allocated memory.
            error.__traceback__ = None
            raise OutOfMemory from None
        for row, sound in zip(rows, made, strict=True):
            row.made = sound
            row.taken += 1
        return [RowStep(False, row.is_over) for row in rows]

    def sound(self, row: RvcRow, is_last: bool) -> bytes:
        del is_last
        return bytes(row.made.numpy().astype("<i2").tobytes())

    def leave(self, row: RvcRow) -> None:
        row.made = None

    def _made(self, rows: Sequence[RvcRow]) -> list[Any]:
        window_features: dict[int, WindowFeatures] = {}
        for group in _grouped(range(len(rows)), lambda number: len(rows[number].window.sound)):
            for part in _parts(group, _WINDOWS_AT_ONCE):
                window_features.update(zip(part, self._hear([rows[number] for number in part]), strict=True))
        drawn = _drawn(rows, window_features)
        inputs = {
            number: WindowFeatures(features_of(each, drawn.get(number), rows[number].window.options), each.hz)
            for number, each in window_features.items()
        }

        def voice_and_length(number: int) -> tuple[int, int]:
            return id(rows[number].voice.network), len(inputs[number].features)

        made: dict[int, Any] = {}
        for group in _grouped(range(len(rows)), voice_and_length):
            at_once = _rows_at_once(rows[group[0]].voice, len(inputs[group[0]].features))
            for part in _parts(group, at_once):
                sounds = self._sounds([rows[number] for number in part], [inputs[number] for number in part])
                made.update(zip(part, sounds, strict=True))
        return [made[number] for number in range(len(rows))]

    def _hear(self, rows: Sequence[RvcRow]) -> list[WindowFeatures]:
        sounds = torch.stack([row.window.sound for row in rows]).to(self._device)
        by_version = dict(zip(("v1", "v2"), self._hubert(sounds), strict=True))
        pitches = self._pitches(rows, sounds)
        found = []
        for number, row in enumerate(rows):
            own = by_version[row.voice.layout.version][number]
            frames = 2 * own.shape[0]
            hz = pitches.get(number)
            if hz is not None:
                hz = moved(hz[:frames], row.window.options.semitones)
            found.append(WindowFeatures(own, hz))
        return found

    def _pitches(self, rows: Sequence[RvcRow], sounds: Any) -> dict[int, Any]:
        known = {
            number: row.window.hz.to(self._device)
            for number, row in enumerate(rows)
            if row.window.hz is not None
        }
        missing = [
            number for number, row in enumerate(rows) if number not in known and row.voice.layout.has_pitch
        ]
        if missing and self._rmvpe is not None:
            known.update(zip(missing, self._rmvpe(sounds[missing]), strict=True))
        return known

    def _sounds(self, rows: Sequence[RvcRow], window_features: Sequence[WindowFeatures]) -> list[Any]:
        """Return the wanted samples of rows with one voice and one length, for 16 bits."""
        voice = rows[0].voice
        dtype = voice.network.emb_g.weight.dtype
        pitch = source = None
        if voice.layout.has_pitch:
            hz = torch.stack([each.hz for each in window_features])
            pitch = coarse_of(hz), hz
            source = torch.stack([row.window.source for row in rows]).to(self._device)
        sounds = sound_of(
            voice.network,
            voice.layout,
            torch.stack([each.features for each in window_features]).to(dtype),
            pitch,
            torch.stack([row.window.latent for row in rows]).to(self._device),
            source,
        )
        for number, row in enumerate(rows):
            rate = row.window.options.rms_mix_rate
            if rate < 1.0:
                sounding = row.window.sound.to(self._device)
                made = sounds[number]
                sounds[number] = followed(made, voice.layout.rate_hz, sounding, HUBERT_HZ, rate)
        whole = (sounds.clamp(-1.0, 1.0) * 32767.0).round().to(torch.int16).cpu()
        return [
            sound[row.window.first : row.window.last].clone() for sound, row in zip(whole, rows, strict=True)
        ]


def _drawn(rows: Sequence[RvcRow], window_features: Mapping[int, WindowFeatures]) -> dict[int, Any]:
    """Return the features of the rows whose features are drawn towards their voice's own.

    The rows of a voice are searched together, because each search reads all of its vectors.
    """
    drawn: dict[int, Any] = {}
    wanting = [number for number, row in enumerate(rows) if row.window.options.index_rate]
    for group in _grouped(wanting, lambda number: id(rows[number].voice.neighbours)):
        neighbours = rows[group[0]].voice.neighbours
        if neighbours is not None:
            own = [window_features[number].features for number in group]
            shares = [
                torch.full((len(each), 1), rows[number].window.options.index_rate, device=each.device)
                for number, each in zip(group, own, strict=True)
            ]
            found = neighbours.draw(torch.cat(own), torch.cat(shares))
            drawn.update(zip(group, found.split([len(each) for each in own]), strict=True))
    return drawn


def features_of(window_features: WindowFeatures, drawn: Any | None, options: ConversionOptions) -> Any:
    """Return a window's features, a hundred a second: its own, or the `drawn` ones.

    Frames without pitch get a smaller share of the `drawn` ones.
    """
    own = _twice(window_features.features)
    if drawn is None:
        return own
    drawn = _twice(drawn)
    if window_features.hz is None or not options.protects:
        return drawn
    # Frames without pitch are breath and consonants. They keep most of their own features.
    share = torch.where(window_features.hz > 0, 1.0, options.protect)[:, None].to(drawn.dtype)
    return drawn * share + own * (1.0 - share)


def _twice(features: Any) -> Any:
    return interpolate(features.T[None], scale_factor=2.0)[0].T


def _rows_at_once(voice: RvcVoice, frames: int) -> int:
    largest = largest_layer(voice.layout.config)
    return max(1, _MOST_OF_A_LAYER // (largest * frames))


def _parts(numbers: Sequence[int], at_once: int) -> Iterator[Sequence[int]]:
    for first in range(0, len(numbers), at_once):
        yield numbers[first : first + at_once]


def _grouped(numbers: Iterable[int], key: Callable[[int], Any]) -> list[list[int]]:
    groups: dict[Any, list[int]] = {}
    for number in numbers:
        groups.setdefault(key(number), []).append(number)
    return list(groups.values())
