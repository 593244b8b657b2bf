"""The recordings of a voice as slices of about three seconds, each with features, pitch and spectrum.

All of it is stored in memory only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import signal

from plugins.rvc.hubert import HUBERT_HZ, Hubert
from plugins.rvc.pitch import coarse, praat_pitch
from plugins.rvc.rmvpe import Rmvpe
from plugins.rvc.training.spectrum import SpectrumSizes, linear
from speech_engine.training import Recording, TrainingError

LEAST_S = 20.0
"""The least speech in all recordings together."""
_SLICE_S, _OVERLAP_S, _LONGEST_S = 3.0, 0.3, 3.7
_SHORTEST_S = 0.8
_QUIET_DB, _PAUSE_S, _HOP_S = -42.0, 0.4, 0.01
_MARGIN_S = 0.1
_LOUDEST, _SHARE = 0.9, 0.75
"""This share of a slice is raised to the loudest level. The rest keeps its level."""
_SILENT = 1e-3
_FRAMES_A_FEATURE = 2


class Ears(NamedTuple):
    """The networks that read recordings. Without RMVPE, Praat finds the pitch."""

    hubert: Hubert
    rmvpe: Rmvpe | None = None

    def __repr__(self) -> str:
        return f"<Ears{'' if self.rmvpe is None else ' with RMVPE'}>"

    def pitch(self, resampled: Any) -> Any:
        """Return the pitch of each frame of a sound at HUBERT_HZ, or 0."""
        if self.rmvpe is None:
            return praat_pitch(resampled)
        return self.rmvpe(torch.from_numpy(resampled)[None].to(self.hubert.device))[0].cpu().numpy()


class Slice(NamedTuple):
    """A slice: `features` are (frames, width), `coarse` and `hz` its pitch, `spectrum` (frequencies, frames)
    and `sound` its samples."""

    features: Any
    coarse: Any
    hz: Any
    spectrum: Any
    sound: Any

    @property
    def frames(self) -> int:
        return int(self.features.shape[0])

    def __repr__(self) -> str:
        return f"<Slice of {self.frames} frames>"


def prepare(
    recordings: Sequence[Recording], ears: Ears, sizes: SpectrumSizes, tell: Callable[[float], None]
) -> tuple[list[Slice], Any]:
    """Return the slices of recordings, and HuBERT's features of them. `tell` gets the finished share.

    Raises TrainingError.
    """
    sounds, seconds = list[Any](), 0.0
    for number, each in enumerate(recordings, 1):
        speech = _speech_of(each, sizes.rate_hz)
        if not speech:
            raise TrainingError(f"recording {number} of {len(recordings)} is empty or silent")
        for part in speech:
            slices = list(_slices(part, sizes.rate_hz))
            seconds += len(part) / sizes.rate_hz if slices else 0.0
            sounds += slices
    if seconds < LEAST_S:
        raise TrainingError(
            f"the recordings have {seconds:.0f} seconds of speech, and {LEAST_S:g} are needed: "
            "they are too short, too quiet, or mostly silent"
        )
    found, vectors = [], []
    for number, sound in enumerate(sounds):
        slice_, own_vectors = _slice(sound, ears, sizes)
        found.append(slice_)
        vectors.append(own_vectors)
        tell((number + 1) / len(sounds))
    return found, torch.cat(vectors)


def _speech_of(recording: Recording, rate_hz: int) -> list[Any]:
    sound = np.frombuffer(recording.pcm, "<i2").astype(np.float64) / 32768.0
    if not len(sound):
        return []
    divisor = int(np.gcd(rate_hz, recording.sample_rate_hz))
    at_rate = signal.resample_poly(sound, rate_hz // divisor, recording.sample_rate_hz // divisor)
    high_pass = signal.butter(5, 48, btype="high", fs=rate_hz)
    clean = signal.lfilter(*high_pass, at_rate)
    return [clean[start:end] for start, end in _speech(clean, rate_hz)]


def _slices(speech: Any, rate_hz: int) -> Iterator[Any]:
    """Yield slices of speech that are about equally loud."""
    for piece in _pieces(speech, rate_hz):
        peak = float(np.abs(piece).max())
        if peak > _SILENT:
            yield (piece / peak * _LOUDEST * _SHARE + piece * (1 - _SHARE)).astype(np.float32)


def _speech(sound: Any, rate_hz: int) -> Iterator[tuple[int, int]]:
    """Yield where speech begins and ends, in samples: between pauses, and with a margin."""
    hop = round(_HOP_S * rate_hz)
    count = len(sound) // hop
    if not count:
        return
    loudness = np.sqrt((sound[: count * hop].reshape(count, hop) ** 2).mean(axis=1))
    loud = loudness > max(_SILENT, float(loudness.max()) * 10 ** (_QUIET_DB / 20))
    pause, margin = round(_PAUSE_S / _HOP_S), round(_MARGIN_S / _HOP_S)
    begin, last = -1, -1
    for number in map(int, np.flatnonzero(loud)):
        if begin >= 0 and number - last > pause:
            yield max(0, begin - margin) * hop, (last + 1 + margin) * hop
            begin = -1
        begin, last = (number if begin < 0 else begin), number
    if begin >= 0:
        yield max(0, begin - margin) * hop, min(len(sound), (last + 1 + margin) * hop)


def _pieces(sound: Any, rate_hz: int) -> Iterator[Any]:
    """Cut a sound into overlapping pieces. The last piece may be longer."""
    step, start = round((_SLICE_S - _OVERLAP_S) * rate_hz), 0
    while len(sound) - start > _LONGEST_S * rate_hz:
        yield sound[start : start + round(_SLICE_S * rate_hz)]
        start += step
    if len(sound) - start >= _SHORTEST_S * rate_hz:
        yield sound[start:]


def _slice(sound: Any, ears: Ears, sizes: SpectrumSizes) -> tuple[Slice, Any]:
    """Return the slice of a sound, and HuBERT's features of it, half as many as the slice has."""
    divisor = int(np.gcd(HUBERT_HZ, sizes.rate_hz))
    resampled = signal.resample_poly(sound, HUBERT_HZ // divisor, sizes.rate_hz // divisor).astype(np.float32)
    with torch.no_grad():
        _, vectors = ears.hubert(torch.from_numpy(resampled)[None].to(ears.hubert.device))
        hz = ears.pitch(resampled)
        spectrum = linear(torch.from_numpy(sound)[None], sizes)[0]
    vectors = vectors[0].float().cpu()
    frames = min(len(vectors) * _FRAMES_A_FEATURE, len(hz), spectrum.shape[1], len(sound) // sizes.hop)
    features = vectors.repeat_interleave(_FRAMES_A_FEATURE, 0)[:frames]
    return (
        Slice(
            features=features,
            coarse=torch.from_numpy(coarse(hz[:frames])),
            hz=torch.from_numpy(hz[:frames]),
            spectrum=spectrum[:, :frames],
            sound=torch.from_numpy(sound[: frames * sizes.hop]),
        ),
        vectors,
    )
