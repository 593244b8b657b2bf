"""The interface of what keeps holds: in memory beside SQLite, as rows on PostgreSQL; one rule for both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from policies.admission import Live, Refusal
from policies.cycles import Cycle
from policies.plans import Terms
from policies.quota import CreditStanding, Split
from proxy.ledger.pending_writes import PendingWrites
from proxy.storage.entries import Entry
from proxy.storage.store import Statement, Store


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """An account under its terms, by one of its keys; its cycles are counted from the anchor."""

    account: str
    key: str
    anchor: int
    terms: Terms


class HoldRequest(Payer, frozen=True, kw_only=True):
    """One request's hold: whose it is, and the most that it is expected to cost."""

    request: str
    amount: int
    estimated_s: float = 0.0


class HeldCredits(msgspec.Struct, frozen=True):
    """A hold that was taken. It settles in the cycle it was taken in, however late that is."""

    split: Split
    cycle: Cycle
    at: int


class HoldRefused(Exception):
    """The account's limits do not allow it now."""

    def __init__(self, refusal: Refusal, cycle: Cycle) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.cycle = cycle


class Position(msgspec.Struct, frozen=True):
    """Where an account stands: its credits, live holds taken off, and its requests under way."""

    standing: CreditStanding
    live: Live
    cycle: Cycle


class Holds(Protocol):
    """Every method may be called concurrently, for the same account too. `arrears` are what could not be
    written in its time."""

    store: Store
    arrears: PendingWrites

    async def take(self, wanted: HoldRequest) -> HeldCredits:
        """Raises Refused. What it gives is taken until `settle` or `drop`, or until this process ends."""
        ...

    async def settle(self, wanted: HoldRequest, moved: Sequence[Entry], beside: Sequence[Statement]) -> None:
        """One unit of work: the entries, their balances, what is written `beside`, and the end of the hold.

        Carried out even if the caller is cancelled. Raises what `Store.write` does; then the hold stands.
        """
        ...

    def drop(self, request: str, account: str) -> None:
        """Ends a hold that nothing could be written for. Nobody has to wait for it."""
        ...

    async def move(self, entries: Sequence[Entry], beside: Sequence[Statement] = ()) -> None:
        """Entries that belong to no hold, of one account: grants, refunds, corrections.

        Carried out once, even if the caller is cancelled or an answer lost. Raises what `Store.write` does.
        """
        ...

    async def position(self, payer: Payer) -> Position: ...

    async def close(self) -> None: ...
