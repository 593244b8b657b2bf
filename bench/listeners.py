"""Listeners for simulations: what they ask for, and what they hear of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import NamedTuple

SEED = 20261121
SHARES = (1.0, 1.0, 2.0, 3.0, 5.0)
LENGTHS_S = (1.5, 3.0, 5.0, 9.0)
GAP_S = 0.05
"""A listener hears less than this as no pause."""


class Visit(NamedTuple):
    """What one listener asks for, and when."""

    at_s: float
    account: int
    parts: int
    length_s: float
    rate: float
    is_whole: bool


class Heard:
    """What became of it. `first_audio_s` is None if it was refused."""

    def __init__(self, visit: Visit, requested_at: float) -> None:
        self.visit = visit
        self.first_audio_s: float | None = None
        self.gap_s = 0.0
        self.seconds = 0.0
        self.is_whole_answer = False
        self._asked_at = requested_at
        self._began_at = 0.0
        self._plays_until = 0.0

    def hears(self, seconds: float, now: float) -> None:
        if self.first_audio_s is None:
            self.first_audio_s, self._began_at, self._plays_until = now - self._asked_at, now, now
        late_s = now - self._plays_until
        if late_s > 0.0:
            self.gap_s += late_s
            self._plays_until = now
        self._plays_until += seconds / self.visit.rate
        self.seconds += seconds

    def plays_in_s(self, part: int) -> float:
        """Return when a part will be heard: once those before it have been."""
        now = asyncio.get_running_loop().time()
        before_s = part * self.visit.length_s / self.visit.rate
        return max(0.0, self._began_at + self.gap_s + before_s - now) if part else 0.0


def visits(
    wanted: float, count: int, seed: int = SEED, lengths_s: Sequence[float] = LENGTHS_S
) -> list[Visit]:
    """Draw listeners that want so many seconds of sound a second, in proportion to their shares."""
    rng = random.Random(seed)
    mean_s = sum(lengths_s) / len(lengths_s) * 2.0
    at_s, drawn = 0.0, []
    for _ in range(count):
        at_s += rng.expovariate(wanted / mean_s)
        account = rng.choices(range(len(SHARES)), SHARES)[0]
        is_whole = rng.random() < 0.15
        parts = 1 if is_whole else rng.choice((1, 3))
        drawn.append(Visit(at_s, account, parts, rng.choice(lengths_s), rng.choice((1.0, 1.25)), is_whole))
    return drawn
