"""When a provider's models end, and when a list of models has none left. Days are days of UTC."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

WARNED_DAYS = 60
"""Operators are warned this many days before the end."""


class Retirement(NamedTuple):
    """The models of a list that end soon or have ended, with their last days, sorted by day. If every model
    of the list has a last day, `ends` is the latest of them."""

    models: tuple[tuple[str, date], ...]
    ends: date | None

    def has_ended(self, today: date) -> bool:
        return self.ends is not None and self.ends <= today


def find_retirement(days: Mapping[str, date | None], today: date) -> Retirement | None:
    """Return the retirement of a list of models with their last days, or None if none ends soon."""
    dated = [(name, day) for name, day in days.items() if day is not None]
    soon = sorted((pair for pair in dated if (pair[1] - today).days <= WARNED_DAYS), key=lambda pair: pair[1])
    if not soon:
        return None
    return Retirement(tuple(soon), max(day for _, day in dated) if len(dated) == len(days) else None)


def parse_day(text: str) -> date | None:
    """Return the day of `2027-01-06`, or None for any other text: providers write many forms."""
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None
