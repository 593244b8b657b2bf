"""What a request is charged: each part that was spoken by its own model's price, and the sum rounded once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

import msgspec

from policies import price
from policies.plans import Prices
from policies.price import FREE, Price, PricedPart


class SpokenPart(msgspec.Struct, kw_only=True):
    """A part of a request: who has it in hand, and from which sample of the answer on it is heard, None
    until then. `characters` and `estimated_s` are of its text."""

    characters: int
    estimated_s: float
    engine: str = ""
    model: str = ""
    begins: int | None = None

    @property
    def speaker(self) -> str:
        """As `engine/model`; empty before anybody was tried."""
        return f"{self.engine}/{self.model}" if self.engine else ""


class Charge(NamedTuple):
    """What is charged, and the price that it follows from."""

    amount: int
    price: Price


def written(parts: Sequence[SpokenPart], samples: int) -> Iterator[int]:
    """Of each part its share of the answer's samples that were written: they end somewhere within one."""
    ends = [part.begins for part in parts[1:]]
    for part, end in zip_longest(parts, ends):
        begins = samples if part.begins is None else part.begins
        yield max(0, min(samples, samples if end is None else end) - begins)


def charge(
    parts: Sequence[SpokenPart], samples: int, rate_hz: int, prices: Prices, owed: Collection[int]
) -> Charge:
    """Of the parts that are `owed` at least the estimate, whatever was heard of them."""
    pieces = [
        PricedPart(
            prices.of_model(part.engine, part.model),
            heard,
            part.characters,
            part.estimated_s if number in owed else None,
        )
        for number, (part, heard) in enumerate(zip(parts, written(parts, samples), strict=True))
    ]
    return _charge(pieces, rate_hz)


def _charge(pieces: Sequence[PricedPart], rate_hz: int) -> Charge:
    amount = price.total(pieces, rate_hz)
    several = {piece.price for piece in pieces}
    first = pieces[0].price if pieces else FREE
    if len(several) > 1 or (len(pieces) > 1 and first.per == "job"):
        # The one price by which the books can prove it.
        return Charge(amount, Price(amount, "job"))
    return Charge(amount, first)
