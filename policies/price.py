"""The price of a request in micro-credits, and the cost of an attempt in US dollars.

The cost is money that a provider takes. It changes no balance of credits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec.structs import astuple

MICRO = 1_000_000
"""Micro-credits in a credit."""

Per = Literal["minute", "character", "job"]

Operation = Literal["speech", "clone", "conversion", "training", "transcription", "sample"]
"""The kinds of work in usage. A `sample` is made for the operator, and free."""


class Price(msgspec.Struct, frozen=True):
    """The micro-credits for a minute of sound, a character of text, or a job."""

    micro: int
    per: Per


FREE = Price(0, "job")


def in_credits(micro: int) -> str:
    """Return the exact amount in credits: `600`, `0.5`, `-0.000001`."""
    whole, part = divmod(abs(micro), MICRO)
    text = f"{whole}.{part:06}".rstrip("0").rstrip(".")
    return f"-{text}" if micro < 0 else text


class PricedPart(msgspec.Struct, frozen=True):
    """A part of an answer: its price, the samples that were written, and the characters of its text.

    With `at_least_s`, at least that much time is charged. Parts of one `kind` pay a price by job only once.
    """

    price: Price
    samples: int
    characters: int
    at_least_s: float | None = None
    kind: str = ""


class MostCharge(msgspec.Struct, frozen=True):
    """The most that a part may cost as a `whole`: `by_length`, and the prices by job of its speech and of its
    repetition. A request pays each price by job once for all parts."""

    whole: int = 0
    by_length: int = 0
    by_job: int = 0
    repeated_by_job: int = 0

    def higher(self, other: MostCharge) -> MostCharge:
        return MostCharge(*map(max, astuple(self), astuple(other)))


def most_charge(parts: Sequence[MostCharge]) -> int:
    """Return the most that the parts of a request may cost together."""
    if len(parts) == 1:
        return parts[0].whole
    jobs = max([most.by_job for most in parts]) + max([most.repeated_by_job for most in parts])
    return min(sum([most.whole for most in parts]), jobs + sum([most.by_length for most in parts]))


def total_charge(pieces: Iterable[PricedPart], rate_hz: int) -> int:
    """Return the charge for all parts of an answer, each by its own price. Only the sum is rounded, upwards.

    A part without samples is free. A price by character charges the whole text of a part, because samples do
    not show which characters they contain. Of the prices by job of one kind, only the highest is charged.
    """
    by_time = others = 0
    jobs: dict[str, int] = {}
    for piece in pieces:
        length, price = piece.samples * MICRO, piece.price
        if piece.at_least_s is not None:
            length = max(length, _microseconds(piece.at_least_s) * rate_hz)
        if length <= 0:
            continue
        if price.per == "minute":
            by_time += length * price.micro
        elif price.per == "character":
            others += price.micro * piece.characters
        else:
            jobs[piece.kind] = max(jobs.get(piece.kind, 0), price.micro)
    return others + sum(jobs.values()) - (-by_time // (60 * rate_hz * MICRO))


def share_of_charge(micro: int, part: int, whole: int) -> int:
    """Return the charge for `part` of the `whole` steps of a job: that share of its price, rounded
    upwards."""
    return -(-micro * min(part, whole) // whole)


def estimate_charge(price: Price, *, estimated_s: float, characters: int) -> int:
    """Return the charge before anything was spoken. Only a price by the minute needs the estimate."""
    return total_charge((PricedPart(price, _microseconds(estimated_s), characters),), MICRO)


def _microseconds(seconds: float) -> int:
    """Return microseconds, at least one: an estimate of zero would cost nothing."""
    return max(1, round(seconds * MICRO))


PerUnit = Literal["second", "minute", "hour", "character", "unit", "job"]

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}


class Rate(msgspec.Struct, frozen=True):
    """A provider's price in US dollars. A `unit` is counted by the provider itself."""

    usd: float
    per: PerUnit

    @property
    def is_by_time(self) -> bool:
        return self.per in _SECONDS


def cost_micro_usd(rate: Rate, *, seconds: float, characters: int, units: float | None) -> int:
    """Return the cost of an attempt. `units` are the provider's count; if it gives none, the characters
    count. For a rate by character, the units count if there are no characters, as in a conversion."""
    if rate.is_by_time:
        amount = seconds / _SECONDS[rate.per]
    elif rate.per == "job":
        amount = 1.0
    elif units is None or (rate.per == "character" and characters):
        amount = characters
    else:
        amount = units
    return round(amount * rate.usd * 1_000_000)
