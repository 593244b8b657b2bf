"""Mark a stream of sound. Only the mark is resampled, so the sound keeps its bandwidth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from plugins.audioseal.model_format import HOP, RATE_HZ
from plugins.audioseal.resampling import Floats, Resampler
from speech_engine.mark import require_rate

AddMark = Callable[[Floats], Floats]
"""A function that takes whole hops of sound and returns their mark."""

_BATCH: Final = 10 * HOP
"""The first bytes come at once. Later hops are computed in batches, in a quarter of the time."""
_FULL: Final = np.float32(32768)


class SealStream:
    """The mark of one stream, see `speech_engine.MarkStream`."""

    def __init__(self, sample_rate_hz: int, add_mark: AddMark, strength: float = 1.0) -> None:
        require_rate(sample_rate_hz)
        self._add_mark = add_mark
        self._strength = np.float32(strength)
        self._down, self._up = Resampler(sample_rate_hz, RATE_HZ), Resampler(RATE_HZ, sample_rate_hz)
        self._tail = np.zeros(sample_rate_hz // 10, np.float32)
        self._low = np.zeros(0, np.float32)
        """The sound that the network has not read yet."""
        self._sound = np.zeros(0, np.float32)
        """The samples that were not returned yet."""
        # The resamplers need later sound. To keep the first byte early, the first milliseconds have no mark.
        self._lead = self._down.half + self._up.half * sample_rate_hz // RATE_HZ + 2 if self._up.half else 0
        self._skipped = 0
        self._mark = np.zeros(self._lead, np.float32)
        """The mark for these samples, as far as it is known."""
        self._has_begun = False

    def feed(self, pcm: bytes) -> bytes:
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        self._sound = np.concatenate([self._sound, samples])
        self._low = np.concatenate([self._low, self._down.feed(samples / _FULL)])
        if self._has_begun and len(self._low) < _BATCH:
            return b""
        self._hear(len(self._low) // HOP * HOP)
        return self._give()

    def flush(self) -> bytes:
        rest = len(self._sound)
        self._low = np.concatenate([self._low, self._down.feed(self._tail)])
        self._hear(len(self._low) // HOP * HOP)
        self._sound = self._sound[:rest]
        return self._give()

    def _hear(self, count: int) -> None:
        if not count:
            return
        self._has_begun = True
        added = self._up.feed(self._add_mark(self._low[:count]))
        self._low = self._low[count:]
        unmarked = min(self._lead - self._skipped, len(added))
        self._skipped += unmarked
        self._mark = np.concatenate([self._mark, added[unmarked:] * (self._strength * _FULL)])

    def _give(self) -> bytes:
        count = min(len(self._sound), len(self._mark))
        sound, mark = self._sound[:count], self._mark[:count]
        self._sound, self._mark = self._sound[count:], self._mark[count:]
        # The network marks silence, too.
        marked = np.where(sound == 0, sound, np.rint(sound + mark))
        return bytes(np.clip(marked, -_FULL, _FULL - 1).astype("<i2"))
