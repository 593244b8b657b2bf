"""Finishes the sound of a network: one loudness, little silence around a piece, and the pauses of a reader.

Networks give each piece a silence of its own at both ends, which differs by voice. So it is cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speech_engine.loudness import Limiter
from speech_engine.text.sounds import Ends, end_of_part
from speech_engine.values import Segment

HEAD_MS, TAIL_MS = 40, 100
"""How much of a piece stays before its first loud sample and after its last one: soft parts of words."""
_FADE_IN_MS, _FADE_OUT_MS = 10, 40
END_MS = 150
"""The silence at the end of an answer."""
JOIN_MS = 25
"""How long the end of a piece is heard together with the beginning of the next one, if no pause is there."""
_PAUSES_MS: dict[Ends, int] = {"phrase": 40, "clause": 225, "paragraph": 850}
"""The pauses beside that of a sentence, which is a setting."""

_SILENT_SHARE = 0.01
"""The share of a piece's peak below which it is silent."""
_SPEECH_PEAK = 0.1
"""The peak of a piece's first parts that shows more than a breath."""

_MOST_SAMPLE = 8.0
"""Networks go a little over full scale. What is far over it is broken."""

Sound = NDArray[np.floating[Any]]
_NOTHING: Sound = np.zeros(0, np.float32)


class Rest(NamedTuple):
    """The silence after a piece: what stays of its own, and what is added."""

    tail_ms: float
    more_ms: float


def rest_after(ends: Ends | None, sentence_ms: int, speed: float) -> Rest:
    """Return the silence after a piece, before the next piece begins. For the last piece `ends` is None.
    After a word there is none.

    The pause after a sentence is never shorter than that after a clause, or longer than that after a
    paragraph.
    """
    if ends == "word":
        return Rest(0.0, 0.0)
    if ends is None:
        silence_ms = END_MS / speed
    else:
        pause_ms = _PAUSES_MS.get(ends, sentence_ms)
        bound = max if ends == "paragraph" else min
        silence_ms = bound(pause_ms, sentence_ms) / speed - HEAD_MS
    tail_ms = min(max(silence_ms, _FADE_OUT_MS), TAIL_MS)
    return Rest(tail_ms, max(0.0, silence_ms - tail_ms))


def finish_piece(parts: Iterable[Sound], edges: Edges, factor: float = 1.0) -> Iterator[Sound]:
    """Yield a piece as loud as it is to be, without the silence at its ends. A part is empty while it may be
    such silence."""
    limiter = Limiter(edges.rate_hz)
    for part in parts:
        clipped = np.clip(np.where(np.isfinite(part), part, 0.0), -_MOST_SAMPLE, _MOST_SAMPLE)
        yield edges.feed(limiter.feed(clipped * factor))
    yield np.concatenate((edges.feed(limiter.flush()), edges.close()))


class Edges:
    """Holds back what may be the silence at an end of a piece. `cut` are the samples left out before it.

    Without a tail, the sound goes on in the next piece: its fading end becomes `overlap`, which that piece
    begins with. `before` are the edges of the piece before.
    """

    def __init__(self, rate_hz: int, tail_ms: float, before: Edges | None = None) -> None:
        self.rate_hz = rate_hz
        self.cut = 0
        self.overlap = _NOTHING
        self._before = before.overlap if before else _NOTHING
        self._goes_on = not tail_ms
        self._head, self._tail, self._fade_in, self._fade_out = (
            round(rate_hz * each / 1000)
            for each in (HEAD_MS, tail_ms, _FADE_IN_MS, _FADE_OUT_MS if tail_ms else JOIN_MS)
        )
        self._held: Sound = np.zeros(0, np.float32)
        self._peak = 0.0
        self._has_begun = False
        # The place in the held sound behind its last loud sample. Of a silent piece, the head stays.
        self._end = self._head

    def feed(self, part: Sound) -> Sound:
        self._held = np.concatenate((self._held, part))
        self._peak = max(self._peak, float(np.max(np.abs(part), initial=0.0)))
        if not self._has_begun and self._peak < _SPEECH_PEAK:
            return self._held[:0]
        self._find_ends()
        final = max(0, min(self._end + self._tail, len(self._held)) - self._fade_out)
        taken, self._held = self._held[:final], self._held[final:]
        self._end -= final
        return taken

    def close(self) -> Sound:
        """Return the end of the piece, faded out, and the silence that it lacks."""
        self._find_ends()
        if not self._has_begun:
            self._begin(0)
        end = max(0, self._end + self._tail)
        rest = self._held[:end]
        final = rest[: max(0, len(rest) - self._fade_out)]
        fading = rest[len(final) :] * _rising(len(rest) - len(final))[::-1]
        if self._goes_on:
            self.overlap = fading
            return final
        lacking = np.zeros(end - len(rest) if self._peak else 0, np.float32)
        return np.concatenate((final, fading, lacking))

    def _find_ends(self) -> None:
        """Find the end, and at first the beginning."""
        loud = np.flatnonzero(np.abs(self._held) > _SILENT_SHARE * self._peak)
        if not len(loud):
            return
        begin = 0
        if not self._has_begun:
            begin = max(0, int(loud[0]) - self._head)
            self._begin(begin)
        self._end = len(self._held) if self._goes_on else int(loud[-1]) + 1 - begin

    def _begin(self, at: int) -> None:
        self._has_begun = True
        self.cut = at
        self._held = self._held[at:]
        self._held[: self._fade_in] *= _rising(len(self._held[: self._fade_in]))
        count = min(len(self._before), len(self._held))
        self._held[:count] += self._before[:count]


def _rising(count: int) -> Sound:
    return np.asarray((1 - np.cos(np.pi * np.arange(1, count + 1) / (count + 1))) / 2, np.float32)


def end_of_segment(segment: Segment) -> Ends:
    """Return what ends with a segment. One that ends in a word or a comma is a part of a long sentence."""
    if segment.ends_paragraph:
        return "paragraph"
    sign = segment.spoken[-1:]
    return end_of_part(sign) if sign.isalnum() or sign in ",;" else "sentence"
