"""Requests as the ledger's tests make them: in whole credits, under a plan made to measure."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import NamedTuple

from msgspec.structs import replace

from policies.limits import Caps
from policies.plans import Plan, Prices, Terms
from policies.plans import build_terms as terms_of
from policies.price import MICRO, Price
from proxy.features.admin.verify import verify
from proxy.ledger import Hold, HoldRequest, Ledger, Outcome, Spent, SpentPart
from proxy.storage import entries
from proxy.storage.store import Params, Statement, Store

RATE_HZ = 24_000
A_SECOND = Price(60 * MICRO, "minute")
"""A credit a second."""

ANCHOR = 1_700_000_000_000_000
_OPEN = "INSERT INTO accounts (id, name, plan, created, anchor) VALUES (:id, :id, 'pro', :anchor, :anchor)"


class Account(NamedTuple):
    """What its tests see of it: credits available, and streams under way."""

    allowance: float | None
    granted: float
    streams: int


def terms(
    allowance: float | None = 100,
    *,
    streams: int | None = None,
    key_streams: int | None = None,
    price: Price = A_SECOND,
    models: dict[str, Price] | None = None,
) -> Terms:
    plan = Plan(
        name="pro",
        allowance=None if allowance is None else round(allowance * MICRO),
        streams=streams,
        prices=Prices(speech=price, cached=Price(MICRO // 10, "job"), models=models or {}),
    )
    return terms_of(plan, caps=Caps(streams=key_streams))


def wanted(
    request: str = "req_1",
    credits: float = 10,
    *,
    under: Terms | None = None,
    account: str = "acc_ada",
    key: str = "key_ada",
) -> HoldRequest:
    return HoldRequest(
        request_id=request,
        account=account,
        key=key,
        anchor=ANCHOR,
        terms=under or terms(),
        amount=round(credits * MICRO),
        estimated_s=credits,
    )


class Held:
    """A hold, and what its request has come to."""

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.spent = Spent()

    def __repr__(self) -> str:
        return repr(self.hold)

    @property
    def hold_request(self) -> HoldRequest:
        return self.hold.hold_request

    def change(self, **fields: object) -> None:
        self.spent = replace(self.spent, **fields)

    async def settle(self, outcome: Outcome) -> None:
        await self.hold.settle(outcome, self.spent)

    async def abandon(self) -> None:
        if not self.hold.is_written:
            await self.hold.abandon(self.spent)


@asynccontextmanager
async def holding(ledger: Ledger, request: HoldRequest) -> AsyncIterator[Held]:
    """A hold that is abandoned at the end of the block, as the pipeline does it."""
    held = Held(await ledger.hold(request))
    try:
        yield held
    finally:
        await held.abandon()


class Said(NamedTuple):
    """A part of an answer, and the sample at which it begins; None before its turn."""

    engine: str
    characters: int
    estimated_s: float
    begins: int | None = None


def heard(held: Held, seconds: float, *, engine: str = "tone", characters: int = 5) -> None:
    whole = part(engine, characters, held.hold_request.estimated_s, 0)
    heard_in_parts(held, whole, samples=round(seconds * RATE_HZ))


def part(engine: str, characters: int, estimated_s: float, begins: int | None = None) -> Said:
    return Said(engine, characters, estimated_s, begins)


def heard_in_parts(held: Held, *parts: Said, samples: int) -> None:
    """So many samples were written of the answer; the parts begin where they say."""
    begins = [samples if said.begins is None else min(samples, said.begins) for said in parts]
    lengths = [end - begin for begin, end in pairwise([*begins, samples])]
    held.change(
        engine=parts[0].engine,
        model="standard",
        characters=sum(said.characters for said in parts),
        samples=samples,
        charged_samples=samples,
        sample_rate_hz=RATE_HZ,
        parts=tuple(
            SpentPart(
                engine=said.engine,
                model="standard",
                characters=said.characters,
                estimated_s=said.estimated_s,
                samples=length,
            )
            for said, length in zip(parts, lengths, strict=True)
        ),
    )


def submitted(held: Held, number: int = 0) -> None:
    """The part with this number, to a model that bills its operator as soon as it has a text."""
    parts = list(held.spent.parts)
    parts[number] = replace(parts[number], was_submitted=True)
    held.change(parts=tuple(parts))


async def speak(ledger: Ledger, request: HoldRequest, seconds: float) -> None:
    async with holding(ledger, request) as hold:
        heard(hold, seconds)
        await hold.settle("finished")


async def stands(ledger: Ledger, request: HoldRequest) -> Account:
    found = await ledger.holds.account_state(request)
    allowance = found.credits.allowance
    return Account(
        None if allowance is None else allowance / MICRO, found.credits.granted / MICRO, found.live.account
    )


async def moved(store: Store, request: str = "req_1") -> list[tuple[str, bool, float]]:
    """Its entries: kind, whether of granted credits, and credits; the cycle's first."""
    found = await entries.read_of_request(store, request)
    return [(entry.kind, entry.pool == entries.GRANTED, entry.amount / MICRO) for entry in found]


async def open_accounts(store: Store, anchors: Mapping[str, int]) -> None:
    for id_, anchor in anchors.items():
        account: Params = {"id": id_, "anchor": anchor}
        await store.write(Statement(_OPEN, account))


async def held(store: Store) -> list[str]:
    """The requests that have a row among the holds."""
    return [row["request"] for row in await store.read("SELECT request FROM holds ORDER BY request")]


async def is_gone(store: Store, request: str) -> None:
    """Returns once its row is; a renewal would come too late for that."""
    deadline = asyncio.get_running_loop().time() + 10
    while request in await held(store):
        assert asyncio.get_running_loop().time() < deadline, "nobody dropped it"
        await asyncio.sleep(0.01)


async def made_up(ledger: Ledger) -> None:
    """Returns when nothing is owed any more."""
    async with asyncio.timeout(20):
        await ledger.holds.pending.all_written.wait()


async def is_at_rest(ledger: Ledger) -> bool:
    """In the end nothing is held, as a row or in this process, and the books agree."""
    await made_up(ledger)
    return not await held(ledger.store) and "0 live" in repr(ledger) and (await verify(ledger.store)).is_clean
