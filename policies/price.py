"""What a request costs, in micro-credits: integers only, rounded once, upwards."""

from __future__ import annotations

from typing import Literal

import msgspec

MICRO = 1_000_000
"""Micro-credits in a credit."""

Per = Literal["minute", "character", "job"]


class Price(msgspec.Struct, frozen=True):
    """So many micro-credits for each minute that is heard, each character that was sent, or each job."""

    micro: int
    per: Per


FREE = Price(0, "job")


def in_credits(micro: int) -> str:
    """As people write so much, exactly: `600`, `0.5`, `-0.000001`."""
    whole, part = divmod(abs(micro), MICRO)
    text = f"{whole}.{part:06}".rstrip("0").rstrip(".")
    return f"-{text}" if micro < 0 else text


def charge(price: Price, *, samples: int, rate_hz: int, characters: int) -> int:
    """For what was written. Nothing written costs nothing; a part of a job or of a text costs the whole,
    since nobody can say how much of it was heard."""
    if samples <= 0:
        return 0
    if price.per == "minute":
        return -(-samples * price.micro // (60 * rate_hz))
    return price.micro * (characters if price.per == "character" else 1)


def ahead(price: Price, *, estimated_s: float, characters: int) -> int:
    """What is held before anything is heard: the estimate by the minute; by character or job the charge."""
    samples = max(1, round(estimated_s * MICRO))
    return charge(price, samples=samples, rate_hz=MICRO, characters=characters)
