"""Requests as the ledger's tests make them: in whole credits, under a plan made to measure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from policies.limits import Caps
from policies.plans import Plan, Prices, Terms
from policies.plans import terms as terms_of
from policies.price import MICRO, Price
from proxy.ledger import Attempt, Hold, HoldRequest, Ledger, SpokenPart
from proxy.ledger.verify import verify
from proxy.storage import entries
from proxy.storage.store import Params, Statement, Store

RATE_HZ = 24_000
A_SECOND = Price(60 * MICRO, "minute")
"""A credit a second."""

ANCHOR = 1_700_000_000_000_000
_OPEN = "INSERT INTO accounts (id, name, plan, created, anchor) VALUES (:id, :id, 'pro', :anchor, :anchor)"


class Output(NamedTuple):
    """What an attempt has come to."""

    seconds: float
    units: float | None = None


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


def heard(hold: Hold, seconds: float, *, engine: str = "tone", characters: int = 5) -> None:
    heard_in_parts(
        hold, part(engine, characters, hold.hold_request.estimated_s), samples=round(seconds * RATE_HZ)
    )


def part(engine: str, characters: int, estimated_s: float, begins: int | None = None) -> SpokenPart:
    return SpokenPart(
        engine=engine, model="standard", characters=characters, estimated_s=estimated_s, begins=begins
    )


def heard_in_parts(hold: Hold, *parts: SpokenPart, samples: int) -> None:
    """So many samples were written of the answer; the parts begin where they say."""
    spent = hold.totals
    hold.begin_parts(parts)
    spent.engine, spent.model = parts[0].engine, parts[0].model
    spent.characters = sum(part.characters for part in parts)
    spent.samples, spent.sample_rate_hz = samples, RATE_HZ


def submitted(hold: Hold, number: int = 0, *, was_dispatched: bool = True) -> None:
    """The part with this number, to a model that bills its operator as soon as it has a text."""
    spoken = hold.parts[number]
    hold.attempts.append(
        Attempt(
            engine=spoken.engine,
            model=spoken.model,
            characters=spoken.characters,
            output=Output(0.0),
            part=number,
            billed_on_submit=True,
            was_dispatched=was_dispatched,
        )
    )


async def speak(ledger: Ledger, request: HoldRequest, seconds: float) -> None:
    async with ledger.hold(request) as hold:
        heard(hold, seconds)
        await hold.settle("finished")


async def stands(ledger: Ledger, request: HoldRequest) -> Account:
    found = await ledger.holds.position(request)
    allowance = found.credits.allowance
    return Account(
        None if allowance is None else allowance / MICRO, found.credits.granted / MICRO, found.live.account
    )


async def moved(store: Store, request: str = "req_1") -> list[tuple[str, bool, float]]:
    """Its entries: kind, whether of granted credits, and credits; the cycle's first."""
    found = await entries.of_request(store, request)
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
