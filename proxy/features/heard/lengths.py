"""How long voices take for their sentences: a least-squares fit for each voice, by sounds and marks."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import NamedTuple

from cachetools import LRUCache

_MOST_VOICES = 500
_MOST_RATIOS = 200
_LEAST_KNOWN = 8
"""A fit of fewer sentences is not used."""
_OWN_BOUNDS_FROM = 50
_SHORTEST, _LONGEST = 0.85, 1.2
"""The usual parts of the expected length, until a voice has `_OWN_BOUNDS_FROM` sentences."""
_NARROWEST = 0.03
"""The usual parts differ from 1 at least by so much, also for a voice that is always as long as expected."""
_FORGETTING = 0.995
"""The weight of all earlier sentences is multiplied by it at each new one."""
_RIDGE = 1e-6


class SoundFacts(NamedTuple):
    """A sound as recognisers take it. `silences` are those between its first sound and its last."""

    pcm: bytes
    begin_s: float
    end_s: float
    silences: tuple[tuple[float, float], ...]

    def __repr__(self) -> str:
        return f"<SoundFacts {self.begin_s:.2f}-{self.end_s:.2f}>"

    @property
    def sounding_s(self) -> float:
        return self.end_s - self.begin_s


class SentenceSize(NamedTuple):
    """What takes time: the sounds of a sentence, and its marks."""

    sounds: int
    marks: int

    @property
    def factors(self) -> tuple[float, float, float]:
        return 1.0, float(self.sounds), float(self.marks)


class VoiceLengths:
    """The fits of the voices that spoke last. A key names a voice, its language and its speed."""

    def __init__(self) -> None:
        self._fits: LRUCache[Hashable, _Fit] = LRUCache(_MOST_VOICES)

    def is_usual(self, key: Hashable, size: SentenceSize, seconds: float) -> bool:
        """Tell whether a sound is as long as this voice makes such a sentence, as far as that is known."""
        fit = self._fits.get(key)
        return fit is None or fit.is_usual(size, seconds)

    def learn(self, key: Hashable, size: SentenceSize, seconds: float) -> None:
        """Note the length of a sentence whose words are right."""
        fit = self._fits.get(key)
        if fit is None:
            fit = self._fits[key] = _Fit()
        fit.learn(size, seconds)


class _Fit:
    """Least squares in which older sentences count less. `_ratios` are parts of the expected lengths."""

    def __init__(self) -> None:
        self._squares = [[0.0] * 3 for _ in range(3)]
        self._products = [0.0, 0.0, 0.0]
        self._count = 0
        self._ratios: deque[float] = deque(maxlen=_MOST_RATIOS)

    def is_usual(self, size: SentenceSize, seconds: float) -> bool:
        if self._count < _LEAST_KNOWN:
            return True
        shortest, longest = self._bounds()
        return shortest <= self._ratio(size, seconds) <= longest

    def learn(self, size: SentenceSize, seconds: float) -> None:
        if self._count >= _LEAST_KNOWN:
            self._ratios.append(self._ratio(size, seconds))
        terms = size.factors
        for row, term in enumerate(terms):
            self._products[row] = _FORGETTING * self._products[row] + term * seconds
            for column, other in enumerate(terms):
                self._squares[row][column] = _FORGETTING * self._squares[row][column] + term * other
        self._count += 1

    def _bounds(self) -> tuple[float, float]:
        if self._count < _OWN_BOUNDS_FROM:
            return _SHORTEST, _LONGEST
        ratios = sorted(self._ratios)
        percent = len(ratios) // 100
        return min(ratios[percent], 1 - _NARROWEST), max(ratios[-1 - percent], 1 + _NARROWEST)

    def _ratio(self, size: SentenceSize, seconds: float) -> float:
        import numpy as np

        # The ridge gives no weight to a term that no sentence has.
        weights = np.linalg.solve(np.array(self._squares) + _RIDGE * np.eye(3), self._products)
        expected_s = float(weights @ size.factors)
        return seconds / expected_s if expected_s > 0 else 1.0
