"""The sound, characters and attempts of a request, and the charge that follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from policies import price
from policies.admission import Split, split_charge
from policies.plans import Prices
from policies.price import FREE, Operation, Price, PricedPart, Rate
from proxy.errors import REQUEST_FAULT_CODES
from proxy.storage import entries
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.usage import Outcome, UsageRow


class SpentPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a request: the model that spoke it or tried to, and how many of its samples were written.

    `characters` and `estimated_s` are those of its text. `was_submitted` is true if the model has received
    the text, and its provider bills from that moment on. Without a `kind`, the part has the kind of the
    request.
    """

    engine: str
    model: str
    characters: int
    estimated_s: float
    samples: int
    was_submitted: bool = False
    kind: Operation | None = None
    is_free: bool = False


class SpentAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try of one engine. Without a rate it costs nothing: it was refused, or the engine is local.

    `units` are the provider's own count, None if it gives none. `was_submitted` is as in `SpentPart`.
    """

    engine: str
    model: str
    characters: int
    seconds: float = 0.0
    units: float | None = None
    rate: Rate | None = None
    was_submitted: bool = False

    @property
    def micro_usd(self) -> int:
        if self.rate is None:
            return 0
        return price.cost_micro_usd(
            self.rate, seconds=self.seconds, characters=self.characters, units=self.units
        )


MakeRows = Callable[[bool], Iterable[msgspec.Struct]]


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """The sound, characters and attempts of a request.

    The names of several engines or models are joined with a plus. `samples` were written. Usage shows the
    `charged_samples`, which are those of `parts`. `rows` of features are written in the commit of the
    settlement, and so are those of `make_rows`, which gets whether the request is charged. `checked` is the
    result of hearing the speech, as usage stores it.
    """

    engine: str = ""
    model: str = ""
    voice: str = ""
    language: str = ""
    format: str = ""
    characters: int = 0
    samples: int = 0
    charged_samples: int = 0
    sample_rate_hz: int = 24_000
    first_byte_ms: int | None = None
    error: str | None = None
    cache: str = "off"
    substitute: str = ""
    parts: tuple[SpentPart, ...] = ()
    attempts: tuple[SpentAttempt, ...] = ()
    kind: Operation = "speech"
    rows: tuple[msgspec.Struct, ...] = ()
    make_rows: MakeRows | None = None
    checked: str = ""


class Charge(msgspec.Struct, frozen=True):
    amount: int
    price: Price
    is_free: bool


def compute_charge(spent: Spent, prices: Prices, outcome: Outcome) -> Charge:
    """Compute the price of a request: each part by its own model's price, and the sum rounded once.

    If the client left, a part that `was_submitted` is charged for its whole estimated length. A failure of
    the server or an engine costs nothing. After a fault of the request's own text, the speech before it is
    charged: otherwise an unspeakable last word would make the rest free.
    """
    pieces: list[PricedPart] = []
    has_other_kind = has_free = False
    if spent.cache == "hit":
        pieces.append(PricedPart(prices.cached, spent.samples, spent.characters))
    else:
        for part in spent.parts:
            if part.is_free:
                has_free = True
                continue
            at_least_s = part.estimated_s if outcome == "left" and part.was_submitted else None
            of_model = prices.work_price(part.kind or spent.kind, part.engine, part.model)
            pieces.append(PricedPart(of_model, part.samples, part.characters, at_least_s, part.kind or ""))
            has_other_kind = has_other_kind or part.kind is not None
    amount = price.total_charge(pieces, spent.sample_rate_hz)
    stored_price = pieces[0].price if pieces else FREE
    if has_free or (len(pieces) > 1 and (has_other_kind or len({piece.price for piece in pieces}) > 1)):
        # Usage stores one price. `voxgate ledger verify` checks the charge against it, so several prices
        # become one price for the whole request.
        stored_price = Price(amount, "job")
    is_free = outcome == "failed" and spent.error not in REQUEST_FAULT_CODES
    return Charge(0 if is_free else amount, stored_price, is_free)


def make_spend_entries(row: UsageRow, cycle: int, held: Split) -> list[Entry]:
    """Return the entries that charge a request to the pools of its hold."""
    found: list[Entry] = []
    split = split_charge(row.credits, held)
    for pool, amount in ((cycle, split.allowance), (GRANTED, split.granted)):
        if amount:
            found.append(
                entries.make_spend_entry(row.id, row.account, pool, amount, at=row.started, actor=row.key)
            )
    return found
