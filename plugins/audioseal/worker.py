"""The worker of the mark, which runs in the environment with torch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import numpy as np

from plugins.audioseal.model_format import BITS, RATE_HZ
from plugins.audioseal.networks import Networks, load_networks
from plugins.audioseal.plugin import AudioSealSettings
from plugins.audioseal.resampling import Floats, resampled
from plugins.audioseal.stream import SealStream
from speech_engine import Context, Plugin
from speech_engine.mark import PAYLOAD_BITS, Detection, MarkKey, require_rate
from speech_engine.model_files import UnusableModel

THRESHOLD: Final = 0.5
"""The least share of marked samples in the best second of a marked sound."""

_SURE: Final = 0.5
_UNCLEAR: Final = 0.1
"""If the mean of a bit is nearer to the middle, no payload is read."""


class AudioSealMark:
    """The mark of AudioSeal. It has no keys, so `Detection.key` is empty."""

    def __init__(self, networks: Networks, strength: float) -> None:
        self._networks = networks
        self._strength = strength

    def open(self, sample_rate_hz: int, key: MarkKey, payload: int) -> SealStream:
        """Open a stream, see `Mark.open`. Its mark has the payload's low 16 bits."""
        require_rate(sample_rate_hz)
        if not 0 <= payload < 1 << PAYLOAD_BITS:
            raise ValueError(f"a payload has {PAYLOAD_BITS} bits")
        stream = self._networks.open_stream(payload & (1 << BITS) - 1)
        return SealStream(sample_rate_hz, stream.add_mark, self._strength)

    def detect(self, pcm: bytes, sample_rate_hz: int, keys: Sequence[MarkKey]) -> Detection:
        """Search for the mark of any server, see `Mark.detect`. Without keys, nothing is searched."""
        require_rate(sample_rate_hz)
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
        if not keys or not samples.any():
            return Detection(0.0, THRESHOLD)
        return found_in(*self._networks.hear(resampled(samples, sample_rate_hz, RATE_HZ)))


def found_in(sure: Floats, bits: Floats) -> Detection:
    """Judge the output of `Networks.hear` by the best second, because a sound may be marked in parts."""
    is_marked = sure > _SURE
    second = min(RATE_HZ, len(is_marked))
    if not second:
        return Detection(0.0, THRESHOLD)
    sums = np.concatenate([[0], np.cumsum(is_marked)])
    shares = (sums[second:] - sums[:-second]) / second
    score = float(shares.max())
    if score < THRESHOLD:
        return Detection(score, THRESHOLD)
    means = 1 / (1 + np.exp(-bits[:, is_marked].mean(axis=1))) - 0.5
    is_clear = bool((np.abs(means) >= _UNCLEAR).all())
    payload = sum(1 << place for place, mean in enumerate(means) if mean > 0) if is_clear else None
    begin_s = float(np.argmax(shares >= THRESHOLD)) / RATE_HZ
    return Detection(
        score, THRESHOLD, "", payload, begin_s, float(is_marked.sum()) / RATE_HZ, payload_bits=BITS
    )


@asynccontextmanager
async def _create(name: str, settings: AudioSealSettings, context: Context) -> AsyncIterator[AudioSealMark]:
    if not settings.model_path:
        raise UnusableModel(f"[marks.{name}] names no model: import one, or set model_path")
    networks = await asyncio.to_thread(load_networks, Path(settings.model_path), settings.threads)
    yield AudioSealMark(networks, settings.strength)


def voxgate_register() -> tuple[Plugin[AudioSealSettings], ...]:
    return (Plugin(kind="mark", name="audioseal", settings=AudioSealSettings, create=_create),)
