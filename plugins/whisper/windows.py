"""A recording in windows that end at pauses, so that none cuts a word. Parts without speech are left out."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speech_engine.hearing import HEARING_HZ

Floats = NDArray[np.float32]

CHUNK: Final = 512
"""The samples for which the detector says how likely they are speech."""
MOST_S: Final = 28.0

_A_SECOND = HEARING_HZ / CHUNK
_MOST = int(MOST_S * _A_SECOND)
_LEAST = int(10 * _A_SECOND)
_SPEECH, _SILENCE = 0.35, 0.2
"""The least likelihood of speech, and that under which a chunk is silent. All lengths are in chunks."""
_PAUSE, _LONG_PAUSE = 3, int(0.5 * _A_SECOND)
_BEFORE, _AFTER = 6, 10
"""The chunks around speech that are heard, too: the detector is late at a soft beginning."""


_MOST_UNHEARD_S = 1.0
"""A text that ends so long before the last speech of its window has left something out."""
_NEAR_S = 0.5
"""The end of a text may be told so much too early or too late."""


class Window(NamedTuple):
    """A part with speech, from the sample `start`. After it, `up_to` samples of the recording were heard.

    `likely` tells how likely each chunk is speech. If it is empty, nothing is known of the pauses.
    """

    start: int
    samples: Floats
    up_to: int
    likely: Floats = np.empty(0, np.float32)

    def __repr__(self) -> str:
        return f"<Window from {self.start}, {len(self.samples)} samples>"

    def spans_s(self) -> list[tuple[float, float]]:
        """Return where speech begins and ends between the pauses, in seconds of the window."""
        edges = [0, *(edge for pause in pauses(self.likely) for edge in pause), len(self.likely)]
        return [
            (begin * CHUNK / HEARING_HZ, min(end * CHUNK, len(self.samples)) / HEARING_HZ)
            for begin, end in zip(edges[::2], edges[1::2], strict=True)
            if (self.likely[begin:end] >= _SPEECH).any()
        ]

    def rest(self, ended_s: float) -> Window | None:
        """Return the part behind a text that ended at `ended_s`, or None if hardly any speech is there."""
        later = [span for span in self.spans_s() if span[1] > ended_s]
        if not later or later[-1][1] <= ended_s + _MOST_UNHEARD_S:
            return None
        (begin_s, end_s), at_s = later[0], ended_s
        if min(ended_s - begin_s, end_s - ended_s) < _NEAR_S:  # in a pause, it cuts no word
            at_s = begin_s if ended_s - begin_s <= end_s - ended_s else later[1][0]
        begin = max(0, round(at_s * _A_SECOND) - _PAUSE) * CHUNK
        return Window(self.start + begin, self.samples[begin:], self.up_to, self.likely[begin // CHUNK :])


class WindowCutter:
    """Cuts one recording while it comes."""

    def __init__(self) -> None:
        self._held = np.empty(0, np.float32)
        self._likely = np.empty(0, np.float32)
        self._begin = 0

    def add(self, samples: Floats, likely: Floats) -> None:
        """Note the next samples, and how likely their chunks are speech. The last chunk may be short."""
        self._held = np.concatenate([self._held, samples])
        self._likely = np.concatenate([self._likely, likely])

    def next(self, *, is_last: bool = False) -> Window | None:
        """Return the next window that is whole, or at the recording's end the rest of it."""
        speech = np.flatnonzero(self._likely >= _SPEECH)
        first = max(0, int(speech[0]) - _BEFORE) if len(speech) else len(self._likely)
        if len(self._likely) - first > _MOST:
            return self._taken(first, first + _best_cut(self._likely[first : first + _MOST]))
        if len(self._held) and (is_last or first > _MOST):
            return self._taken(first, len(self._likely))
        return None

    def _taken(self, first: int, end: int) -> Window:
        speech = np.flatnonzero(self._likely[first:end] >= _SPEECH)
        last = min(end, first + int(speech[-1]) + 1 + _AFTER) if len(speech) else first
        speech_samples = self._held[first * CHUNK : last * CHUNK]
        start = self._begin + first * CHUNK
        likely = self._likely[first:last]
        cut = min(end * CHUNK, len(self._held))
        self._begin += cut
        self._held, self._likely = self._held[cut:], self._likely[end:]
        return Window(start, speech_samples, self._begin, likely)


def _best_cut(likely: Floats) -> int:
    """Return the chunk at which a window of the longest length ends: in a long pause, as late as possible, or
    else in the longest. Without a pause, it is where speech is the least likely."""
    found = [(min(end - begin, _LONG_PAUSE), end, begin) for begin, end in pauses(likely) if end > _LEAST]
    if not found:
        return _LEAST + int(np.argmin(likely[_LEAST:]))
    _, end, begin = max(found)
    return (max(begin, _LEAST) + end) // 2


def pauses(likely: Floats) -> list[tuple[int, int]]:
    """Return the first chunk of each pause, and that after its last one."""
    quiet = np.concatenate([[False], likely < _SILENCE, [False]])
    edges = np.flatnonzero(quiet[1:] != quiet[:-1])
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2) if end - begin >= _PAUSE]
