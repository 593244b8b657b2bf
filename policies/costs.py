"""The cost of one attempt at its provider. This money is apart from credits and changes no balance."""

from __future__ import annotations

from typing import Literal

import msgspec

PerUnit = Literal["second", "minute", "hour", "character", "unit", "job"]

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}


class Rate(msgspec.Struct, frozen=True):
    """A provider's price in US dollars. A `unit` is what the provider itself counts."""

    usd: float
    per: PerUnit

    @property
    def is_by_time(self) -> bool:
        return self.per in _SECONDS


def micro_usd(rate: Rate, *, seconds: float, characters: int, units: float | None) -> int:
    """Return the cost of an attempt. If the provider did not count its units, characters count instead; and
    its units, where there are no characters: a recording was converted."""
    if rate.is_by_time:
        amount = seconds / _SECONDS[rate.per]
    elif rate.per == "job":
        amount = 1.0
    elif units is None or (rate.per == "character" and characters):
        amount = characters
    else:
        amount = units
    return round(amount * rate.usd * 1_000_000)
