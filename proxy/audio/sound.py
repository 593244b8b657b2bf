"""The steps from an engine's PCM to the answer: the sample rate, the speed, the gain, a soft end, the format.

The code is synchronous and fast enough for the event loop: 100 ms of an engine's sound take about a
millisecond. At a quarter of the speed they become 400 ms, and take up to four milliseconds.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from itertools import takewhile
from typing import Protocol

from proxy.audio.encode import open_encoder
from proxy.audio.formats import OUTPUT_RATE_HZ, SAMPLE_BYTES, Chunk, OutputForm
from speech_engine import EngineFailed

_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 8_000, 192_000


class Step(Protocol):
    """Takes and returns PCM in whole samples. It may hold some sound back until `flush`, which is the end."""

    def feed(self, pcm: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class Sound:
    """The sound of one answer. `feed` takes an engine's sound. `flush` is called at its end, and `close`
    always.

    The samples of the chunks add up to the audible length, after the change of speed. `factor` is the part of
    the speed that the engine did not apply itself, and `decibels` is a gain.
    """

    def __init__(
        self, source_rate_hz: int, form: OutputForm, *, factor: float = 1.0, decibels: float = 0.0
    ) -> None:
        if not _LOWEST_RATE_HZ <= source_rate_hz <= _HIGHEST_RATE_HZ:
            # At 1 Hz a small answer would become hours.
            raise EngineFailed(
                f"the engine speaks at {source_rate_hz} Hz; "
                f"{_LOWEST_RATE_HZ} to {_HIGHEST_RATE_HZ} can be used"
            )
        self._steps = (
            *_fitting_steps(source_rate_hz, form.sample_rate_hz, factor, decibels),
            FadeOut(form.sample_rate_hz),
        )
        self._half = b""
        self._encoder = open_encoder(form)

    def feed(self, pcm: bytes) -> Chunk:
        pcm = self._half + pcm
        # A cloud engine's chunks may end inside a sample.
        whole = len(pcm) - len(pcm) % SAMPLE_BYTES
        self._half, pcm = pcm[whole:], pcm[:whole]
        for step in self._steps:
            if not pcm:
                break
            pcm = step.feed(pcm)
        return self._encoder.feed(pcm)

    def flush(self) -> Chunk:
        pcm = b""
        for step in self._steps:
            # The rest of a step goes through the steps after it.
            pcm = (step.feed(pcm) if pcm else b"") + step.flush()
        return self._encoder.feed(pcm) + self._encoder.flush()

    def close(self) -> None:
        self._encoder.close()


def _fitting_steps(source_rate_hz: int, rate_hz: int, factor: float, decibels: float) -> list[Step]:
    # The imports stand here for the reason that proxy/audio/libraries.py gives.
    steps: list[Step] = []
    if source_rate_hz != rate_hz:
        from proxy.audio.fitting import Resample

        steps.append(Resample(source_rate_hz, rate_hz))
    # The rounding error of 1.1 / 1.1 must not cost a filter.
    if not math.isclose(factor, 1.0, rel_tol=1e-6):
        from proxy.audio.fitting import Speed

        steps.append(Speed(factor, rate_hz))
    if decibels:
        from proxy.audio.loudness import Gain

        steps.append(Gain(decibels, rate_hz))
    return steps


_QUIET = 150
"""Samples below this value are silence: 46 dB below full scale."""


class SilentEnds:
    """Cuts the silence at the ends of a part, so that the pause there is as long as the text asks for."""

    def __init__(self, *, cuts_head: bool, cuts_tail: bool) -> None:
        self._is_before_sound, self._cuts_tail = cuts_head, cuts_tail
        self._held_silence = b""
        self.cut_samples = 0

    def cut_ends(self, pcm: bytes) -> bytes:
        if self._is_before_sound:
            begin = _first_loud(memoryview(pcm).cast("h")) * SAMPLE_BYTES
            self.cut_samples += begin // SAMPLE_BYTES
            self._is_before_sound, pcm = begin == len(pcm), pcm[begin:]
        if not self._cuts_tail or not pcm:
            return pcm
        silent = _first_loud(memoryview(pcm).cast("h")[::-1]) * SAMPLE_BYTES
        if silent == len(pcm):
            self._held_silence += pcm
            return b""
        loud = len(pcm) - silent
        pcm, self._held_silence = self._held_silence + pcm[:loud], pcm[loud:]
        return pcm


def _first_loud(samples: Iterable[int]) -> int:
    """Return the number of silent samples before the first loud one."""
    return sum(1 for _ in takewhile(lambda sample: -_QUIET < sample < _QUIET, samples))


_FADES_A_SECOND = 200
"""A fade has 5 ms: longer than a click, and shorter than any sound of speech."""

FADE_SAMPLES = OUTPUT_RATE_HZ // _FADES_A_SECOND
"""The samples of a fade at the usual rate."""


class FadeOut:
    """A `Step`. It holds the last samples back until the flush, and leads them to zero.

    An engine may stop in the middle of a wave, and a stretched sound is cut there. The few samples need no
    numpy: see proxy/audio/libraries.py.
    """

    def __init__(self, rate_hz: int = OUTPUT_RATE_HZ) -> None:
        self._bytes = rate_hz // _FADES_A_SECOND * SAMPLE_BYTES
        self._held = b""

    def feed(self, pcm: bytes) -> bytes:
        whole = self._held + pcm
        at = max(0, len(whole) - self._bytes)
        self._held = whole[at:]
        return whole[:at]

    def flush(self) -> bytes:
        held, self._held = self._held, b""
        layout = struct.Struct(f"<{len(held) // SAMPLE_BYTES}h")
        samples = layout.unpack(held)
        step = math.pi / max(1, len(samples))
        return layout.pack(
            *(round(sample * (1 + math.cos(step * at)) / 2) for at, sample in enumerate(samples, 1))
        )
