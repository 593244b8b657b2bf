"""The order of candidates by how often their words are heard wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import sqrt
from typing import NamedTuple

from policies.routing import Candidate

_Z = 1.96
"""The normal quantile of a confidence interval of 95 %."""
_FAR_ABOVE_TIMES = 2.0


class Misheard(NamedTuple):
    """How many words were heard, and how many of them wrong."""

    wrong: int
    words: int

    @property
    def bounds(self) -> tuple[float, float]:
        """The bounds of the true rate, by Wilson."""
        if not self.words:
            return 0.0, 1.0
        rate, squared = self.wrong / self.words, _Z * _Z / self.words
        middle = (rate + squared / 2) / (1 + squared)
        width = _Z / (1 + squared) * sqrt(rate * (1 - rate) / self.words + squared / self.words / 4)
        return max(0.0, middle - width), min(1.0, middle + width)

    def is_far_above(self, other: Misheard) -> bool:
        return self.bounds[0] > _FAR_ABOVE_TIMES * other.bounds[1]


def move_misheard_last(candidates: Sequence[Candidate], rates: Mapping[str, Misheard]) -> list[Candidate]:
    """Return the candidates, with each moved behind neighbours that are heard wrong far less often.

    `rates` has the rate of each model's name. Only neighbours of one kind change places: both natural or both
    rule-based, and both with the voice itself or both with another speaker.
    """
    kinds = groupby(candidates, key=lambda each: (each.model.info.is_trained, each.is_other_speaker))
    return [each for _, kind in kinds for each in _sort_kind(kind, rates)]


def _sort_kind(kind: Iterable[Candidate], rates: Mapping[str, Misheard]) -> list[Candidate]:
    ordered: list[Candidate] = []
    for each in kind:
        position, own_rate = len(ordered), rates.get(each.model.name)
        while position and own_rate is not None:
            rate_before = rates.get(ordered[position - 1].model.name)
            if rate_before is None or not rate_before.is_far_above(own_rate):
                break
            position -= 1
        ordered.insert(position, each)
    return ordered
