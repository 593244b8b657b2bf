"""The charge of a request: each spoken part by its own model's price, and the sum rounded once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

import msgspec

from policies import price
from policies.plans import Prices
from policies.price import FREE, Price, PricedPart


class SpokenPart(msgspec.Struct, kw_only=True):
    """A part of a request, and the model that speaks it or tries to.

    `begins` is the sample of the answer at which the part begins, None before its turn. `characters` and
    `estimated_s` are of its text.
    """

    characters: int
    estimated_s: float
    engine: str = ""
    model: str = ""
    begins: int | None = None

    @property
    def speaker(self) -> str:
        """The model as `engine/model`, or "" before one was tried."""
        return f"{self.engine}/{self.model}" if self.engine else ""


class Charge(NamedTuple):
    """An amount, and the price that it follows from."""

    amount: int
    price: Price


def written_samples(parts: Sequence[SpokenPart], samples: int) -> Iterator[int]:
    """Give for each part how many of its samples were written. The last ones may end inside a part."""
    ends = [part.begins for part in parts[1:]]
    for part, end in zip_longest(parts, ends):
        begins = samples if part.begins is None else part.begins
        yield max(0, min(samples, samples if end is None else end) - begins)


def compute_charge(
    parts: Sequence[SpokenPart], samples: int, rate_hz: int, prices: Prices, owed: Collection[int]
) -> Charge:
    """Compute what the parts cost. A part that is `owed` costs at least its estimate, even if unsent."""
    pieces = [
        PricedPart(
            prices.of_model(part.engine, part.model),
            samples_of_part,
            part.characters,
            part.estimated_s if number in owed else None,
        )
        for number, (part, samples_of_part) in enumerate(
            zip(parts, written_samples(parts, samples), strict=True)
        )
    ]
    return _charge(pieces, rate_hz)


def _charge(pieces: Sequence[PricedPart], rate_hz: int) -> Charge:
    amount = price.total(pieces, rate_hz)
    several = {piece.price for piece in pieces}
    first = pieces[0].price if pieces else FREE
    if len(several) > 1 or (len(pieces) > 1 and first.per == "job"):
        # This is the one price by which `verify` can prove the charge.
        return Charge(amount, Price(amount, "job"))
    return Charge(amount, first)
