"""Join the windows of one conversion. Each is moved by a few milliseconds to fit the one before, and blended.

No sample is lost or added.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from speech_engine.host.windows import SoundWindow

FADE_S = 0.02
MARGIN_S = 0.008
"""The farthest move of a window: half a period of the lowest voices, whose sine begins anew in each."""

_NEARLY = 0.02
"""A window is not moved farther for a gain of less than this."""
_QUIET = 1e-3


class Joiner:
    """The sound of one recording, at `rate_hz`. Windows count samples at `recording_hz`."""

    def __init__(self, recording_hz: int, rate_hz: int) -> None:
        self._recording_hz = recording_hz
        self._rate_hz = rate_hz
        self.fade = round(FADE_S * rate_hz)
        self.margin = round(MARGIN_S * rate_hz)
        self._tail: Any = None
        self._rising = (np.arange(self.fade, dtype=np.float32) + 0.5) / self.fade

    def place(self, sample: int) -> int:
        return sample * self._rate_hz // self._recording_hz

    def bounds(self, window: SoundWindow) -> tuple[int, int]:
        """Return the range of samples of a window's whole sound that `join` uses."""
        before = self.place(window.begin)
        first = self.place(window.start) - before - self.margin
        return first, self.place(window.end) - before + self.fade + self.margin

    def join(self, window: SoundWindow, pcm: bytes) -> bytes:
        """Return the next sound, as long as the window, from the samples within `bounds`."""
        sound = np.frombuffer(pcm, "<i2").astype(np.float32)
        count = self.place(window.end) - self.place(window.start)
        first = self.margin if self._tail is None else self._fitting(sound)
        body = sound[first : first + count].copy()
        if self._tail is not None:
            length = min(self.fade, count)
            rising = self._rising[:length]
            body[:length] = body[:length] * rising + self._tail[:length] * (1.0 - rising)
        self._tail = None if window.is_last else sound[first + count : first + count + self.fade]
        return bytes(np.rint(body).clip(-32768, 32767).astype("<i2").tobytes())

    def _fitting(self, sound: Any) -> int:
        """Return the best place to continue after the tail. Among equals, it is the nearest."""
        head = sound[: self.fade + 2 * self.margin].astype(np.float64)
        tail = self._tail.astype(np.float64)
        products = np.correlate(head, tail, "valid")
        energies = np.convolve(head**2, np.ones(self.fade), "valid")
        likeness = products / np.sqrt(np.maximum(energies * (tail**2).sum(), _QUIET))
        away = np.abs(np.arange(len(likeness)) - self.margin) / self.margin
        return int(np.argmax(likeness - _NEARLY * away))
