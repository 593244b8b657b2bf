"""A mark that can be heard: it hums at 3 kHz, and holds 20 ms back as a real one does."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import numpy as np

from speech_engine import Context, Plugin
from speech_engine.mark import Detection, MarkKey
from tests.sound import Heard

HUM_HZ = 3_000
HUM = 1_000.0
"""The amplitude, of 32,768."""


class HumSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`fails_after_s` of marked sound it fails. `cannot_open` lets nobody begin."""

    fails_after_s: float | None = None
    cannot_open: bool = False


class HumStream:
    def __init__(self, rate_hz: int, settings: HumSettings) -> None:
        self._held = b""
        self._out = 0
        self._rate_hz = rate_hz
        self._hold = rate_hz // 50 * 2
        self._left = None if settings.fails_after_s is None else round(settings.fails_after_s * rate_hz) * 2

    def feed(self, pcm: bytes) -> bytes:
        whole = self._held + pcm
        at = max(0, len(whole) - self._hold)
        self._held = whole[at:]
        return self._humming(whole[:at])

    def flush(self) -> bytes:
        held, self._held = self._held, b""
        return self._humming(held)

    def _humming(self, pcm: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(pcm)
            if self._left < 0:
                raise RuntimeError("no more")
        samples = np.frombuffer(pcm, "<i2")
        at = (self._out + np.arange(len(samples))) / self._rate_hz
        self._out += len(samples)
        return np.rint(samples + HUM * np.sin(2 * np.pi * HUM_HZ * at)).astype("<i2").tobytes()


class HumMark:
    """`opened` has the rate, the key and the payload of each stream."""

    def __init__(self, settings: HumSettings) -> None:
        self._settings = settings
        self.opened: list[tuple[int, MarkKey, int]] = []

    def open(self, sample_rate_hz: int, key: MarkKey, payload: int) -> HumStream:
        if self._settings.cannot_open:
            raise RuntimeError("not today")
        self.opened.append((sample_rate_hz, key, payload))
        return HumStream(sample_rate_hz, self._settings)

    def detect(self, pcm: bytes, sample_rate_hz: int, keys: Sequence[MarkKey]) -> Detection:
        del pcm, sample_rate_hz, keys
        return Detection(0.0, 1.0)


def hum(marks: list[HumMark] | None = None) -> Plugin[HumSettings]:
    """Return the plugin. Each mark that the server opens comes into the list."""

    @asynccontextmanager
    async def create(_name: str, settings: HumSettings, _context: Context) -> AsyncIterator[HumMark]:
        mark = HumMark(settings)
        if marks is not None:
            marks.append(mark)
        yield mark

    return Plugin(kind="mark", name="hum", settings=HumSettings, create=create)


def hums(heard: Heard) -> int:
    """Return how many times a sound was marked, by how loud it hums in its middle."""
    rate_hz = heard.sample_rate_hz
    size = rate_hz // 5
    begin = max(0, len(heard.samples) // 2 - size // 2)
    middle = heard.samples[begin : begin + size].astype(np.float64)
    at = np.arange(len(middle)) / rate_hz
    window = np.hanning(len(middle))
    strength = abs(np.sum(middle * window * np.exp(-2j * np.pi * HUM_HZ * at))) / (np.sum(window) / 2)
    times = float(strength) * 32_768 / HUM
    assert abs(times - round(times)) < 0.25, times
    return round(times)
