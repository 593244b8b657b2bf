"""Credits and micro-credits: people write and read credits, the ledger counts whole micro-credits."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from policies.limits import LIMITS, LimitRow, limit_values
from policies.price import MICRO, in_credits


def to_micro_credits(credits: float) -> int:
    """Return the exact number of micro-credits. Raises ValueError for more than 6 decimals.

    Up to 1e9 credits, a float has all the digits that people write.
    """
    exact = Decimal(repr(credits)) * MICRO
    if exact != exact.to_integral_value():
        raise ValueError("more than 6 decimals")
    return int(exact)


def to_credits(to_micro_credits: int) -> float:
    """Return credits for JSON, with the same digits as `in_credits`. Millionths of a dollar use this too."""
    text = in_credits(to_micro_credits)
    return float(text) if "." in text else int(text)


def shown_limits(limits: msgspec.Struct, rows: Mapping[str, LimitRow] = LIMITS) -> dict[str, Any]:
    """Return limits as people read them, by name: those in micro-credits become credits."""
    in_credits_by_name = limit_values(limits, rows)
    for name, row in rows.items():
        if row.unit == "credits" and isinstance(in_credits_by_name[name], int):
            in_credits_by_name[name] = to_credits(in_credits_by_name[name])
    return in_credits_by_name
