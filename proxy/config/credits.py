"""Credits at the edge: people write and read numbers of credits, the books hold whole micro-credits."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from policies.limits import LIMITS, LimitRow, limit_values
from policies.price import MICRO, in_credits


def micro(credits: float) -> int:
    """Exactly so many, by the digits that were written; up to 1e9 a float has kept them all. Raises
    ValueError where there are more than six behind the point."""
    exact = Decimal(repr(credits)) * MICRO
    if exact != exact.to_integral_value():
        raise ValueError("more than 6 decimals")
    return int(exact)


def number(micro: int) -> float:
    """For JSON, with the very digits of `in_credits`; millionths of a dollar are written the same way."""
    text = in_credits(micro)
    return float(text) if "." in text else int(text)


def shown_limits(limits: msgspec.Struct, rows: Mapping[str, LimitRow] = LIMITS) -> dict[str, Any]:
    """Return limits as people read them, by name: those in micro-credits become credits."""
    shown = limit_values(limits, rows)
    for name, row in rows.items():
        if row.unit == "credits" and isinstance(shown[name], int):
            shown[name] = number(shown[name])
    return shown
