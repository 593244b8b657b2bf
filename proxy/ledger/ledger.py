"""The ledger, the only writer of balances. Its holds are in memory or rows, depending on the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec

from policies.admission import Refusal, admit
from policies.cycles import Cycle
from policies.price import MICRO, in_credits
from proxy.errors import QuotaExceeded, RateLimited, RequestFailed
from proxy.ledger.hold import Hold
from proxy.ledger.holds import AccountState, HeldCredits, HoldRequest, Holds, Payer
from proxy.ledger.memory_holds import MemoryHolds
from proxy.ledger.stored_holds import StoredHolds
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics

_SMALLEST_SHOWN = MICRO // 100


class StreamsTaken(RateLimited):
    """The plan or the key allows no more streams until a running one ends."""


class Ledger:
    def __init__(self, store: Store, holds: Holds) -> None:
        self.store = store
        self.holds = holds

    def __repr__(self) -> str:
        return f"<Ledger {self.holds!r}>"

    async def hold(self, hold_request: HoldRequest) -> Hold:
        """Hold credits for a request. After StreamsTaken or QuotaExceeded nothing is held or written.

        The caller calls `settle`, and in any case `abandon` at the end.
        """
        answer = await self.holds.take_hold(hold_request)
        if isinstance(answer, HeldCredits):
            return Hold(self.holds, hold_request, answer)
        refusal, cycle = answer
        raise _refusal_error(refusal, cycle, hold_request, hold_request.amount)

    @asynccontextmanager
    async def stream(self, request: str, payer: Payer) -> AsyncIterator[None]:
        """Count as a stream of the account while the block runs, for an answer that was paid before.

        Raises StreamsTaken.
        """
        fields = msgspec.structs.asdict(payer)
        await self.hold(HoldRequest(request_id=request, amount=0, **fields))
        try:
            yield
        finally:
            await self.holds.release(request, payer.account)

    async def check_affordable(self, payer: Payer, amount: int | None = None) -> AccountState:
        """Raise what `hold` would certainly raise for this amount, before work that could not be paid.

        Without an amount, one micro-credit is enough, or none if some speech is free. Returns the account's
        state.
        """
        if amount is None:
            prices = payer.terms.prices
            amount = min(1, *(price.micro for price in (prices.speech, *prices.models.values())))
        state = await self.holds.account_state(payer)
        answer = admit(amount, payer.terms, state.live, state.credits)
        if isinstance(answer, Refusal):
            raise _refusal_error(answer, state.cycle, payer, amount)
        return state

    async def check_conversion(self, payer: Payer) -> None:
        """Raise what `hold` would certainly raise for the shortest conversion. The amount is known only after
        decoding, and an account that cannot pay must not cause that work."""
        price = payer.terms.prices.conversion
        await self.check_affordable(payer, None if price is None else min(1, price.micro))


@asynccontextmanager
async def open_ledger(store: Store, metrics: Metrics) -> AsyncIterator[Ledger]:
    holds: Holds = StoredHolds(store, metrics) if store.is_shared else MemoryHolds(store, metrics)
    try:
        yield Ledger(store, holds)
    finally:
        await holds.close()


def credits_text(micro: int) -> str:
    """Return credits for messages, with at most two decimals, rounded down."""
    return in_credits(micro // _SMALLEST_SHOWN * _SMALLEST_SHOWN)


def _refusal_error(refusal: Refusal, cycle: Cycle, payer: Payer, amount: int) -> RequestFailed:
    if refusal.reason == "credits":
        resets = datetime.fromtimestamp(cycle.end / 1e6, UTC)
        return QuotaExceeded(
            f"You exceeded your current quota: this needs about {_rounded_up_text(amount)} credits, "
            f"and your plan '{payer.terms.plan}' has {_remaining_text(refusal.limit, f'{resets:%Y-%m-%d}')}."
        )
    whose = "your key" if refusal.reason == "key_streams" else f"your plan '{payer.terms.plan}'"
    streams = "stream" if refusal.limit == 1 else "streams"
    return StreamsTaken(
        f"Rate limit reached: {whose} allows {refusal.limit} {streams} at the same time. "
        "Try again when one has ended.",
        retry_after_s=1.0,
    )


def _rounded_up_text(micro: int) -> str:
    return in_credits(-(-micro // _SMALLEST_SHOWN) * _SMALLEST_SHOWN)


def _remaining_text(micro: int, until: str) -> str:
    if micro < 0:
        return f"none left until {until}: {_rounded_up_text(-micro)} are owed"
    return f"{credits_text(micro)} left until {until}"
