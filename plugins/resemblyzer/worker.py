"""The worker of the comparer, which runs Resemblyzer's network in the environment with torch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import webrtcvad
from numpy.typing import NDArray

from plugins.resemblyzer.plugin import ResemblyzerSettings
from plugins.resemblyzer.spectrogram import BANDS, HOP, RATE_HZ, audible_speech, mel_spectrogram
from speech_engine import Context, Plugin, SpeakerScale

_UNITS, _LAYERS = 256, 3
_SLICE = 160
_STEP = 77
"""Hops of 10 ms. The network hears 1.6 seconds at a time."""
_LEAST_SHARE = 0.75
_STRICTEST = 3

SCALE = SpeakerScale(same=0.85, other=0.70)


class ResemblyzerComparer:
    """Compares recordings by the mean of the network's outputs for their slices."""

    def __init__(self, weights: Path, threads: int) -> None:
        state = torch.load(weights, map_location="cpu", weights_only=True)["model_state"]
        self._lstm = torch.nn.LSTM(BANDS, _UNITS, _LAYERS, batch_first=True)
        self._linear = torch.nn.Linear(_UNITS, _UNITS)
        for name, module in (("lstm.", self._lstm), ("linear.", self._linear)):
            own = {key.removeprefix(name): value for key, value in state.items() if key.startswith(name)}
            module.load_state_dict(own)
        self._threads = max(1, threads)
        self._voice_activity = webrtcvad.Vad(_STRICTEST)

    @property
    def scale(self) -> SpeakerScale:
        return SCALE

    def compare(self, one: bytes, other: bytes) -> float:
        torch.set_num_threads(self._threads)  # for the calling thread only
        return float(np.dot(self._speaker(one), self._speaker(other)))

    def _speaker(self, pcm: bytes) -> NDArray[Any]:
        samples = audible_speech(pcm, lambda window: bool(self._voice_activity.is_speech(window, RATE_HZ)))
        bands = mel_spectrogram(np.pad(samples, (0, _SLICE * HOP)))
        slices = np.stack([bands[at : at + _SLICE] for at in _begins(len(samples))])
        with torch.no_grad():
            _, (hidden, _) = self._lstm(torch.from_numpy(slices))
            vectors = torch.relu(self._linear(hidden[-1])).numpy()
        each = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        mean = each.mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9))


def _begins(samples: int) -> list[int]:
    """Return the hops at which slices begin. The last slice may end a little after the recording."""
    hops = -(-(samples + 1) // HOP)
    begins = list(range(0, max(1, hops - _SLICE + _STEP + 1), _STEP))
    covered = (samples - begins[-1] * HOP) / (_SLICE * HOP)
    return begins[:-1] if covered < _LEAST_SHARE and len(begins) > 1 else begins


def _weights() -> Path:
    # Only the file is read: importing the package would need all its requirements.
    found = find_spec("resemblyzer")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError("resemblyzer is not installed")
    return Path(found.submodule_search_locations[0]) / "pretrained.pt"


@asynccontextmanager
async def _create(
    name: str, settings: ResemblyzerSettings, context: Context
) -> AsyncIterator[ResemblyzerComparer]:
    yield await asyncio.to_thread(ResemblyzerComparer, _weights(), settings.threads)


def voxgate_register() -> tuple[Plugin[ResemblyzerSettings], ...]:
    return (Plugin(kind="comparer", name="resemblyzer", settings=ResemblyzerSettings, create=_create),)
