"""The interface of holds, which are in memory with SQLite, and rows with PostgreSQL.

Both must decide the same: `policies.admission.admit` in memory, and the SQL of `storage/holds.py` for rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import msgspec

from policies.admission import CreditBalance, Refusal, RunningRequests, Split
from policies.cycles import Cycle
from policies.limits import Caps
from policies.plans import Terms
from proxy.ledger.pending_writes import PendingWrites, WriteDeadlines
from proxy.storage.durable_holds import JOB_KEY
from proxy.storage.entries import Entry
from proxy.storage.settlements import End
from proxy.storage.store import Statement, Store


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """The account and the key that pay for a request, with their terms. Cycles are counted from the
    anchor."""

    account: str
    key: str
    anchor: int
    terms: Terms

    def of_job(self) -> Self:
        """Return the payer of a job of this account: without a key, and without limits of streams."""
        terms = msgspec.structs.replace(self.terms, streams=None, key=Caps())
        return msgspec.structs.replace(self, key=JOB_KEY, terms=terms)


class HoldRequest(Payer, frozen=True, kw_only=True):
    """The hold that a request needs. `amount` is the most that it is expected to cost, in micro-credits.

    If not `is_stream`, the hold is taken as one `of_job`. `job` is the id of the job that the request belongs
    to, and `tag` is stored in its row of usage.
    """

    request_id: str
    amount: int
    estimated_s: float = 0.0
    is_stream: bool = True
    job: str = ""
    tag: str = ""


class HeldCredits(msgspec.Struct, frozen=True):
    """A hold that was taken at the moment `at`. Its settlement is charged to this cycle, however late it
    is."""

    split: Split
    cycle: Cycle
    at: int


class AccountState(msgspec.Struct, frozen=True):
    """The values that decide whether an account may begin a request: its credits less its running holds, its
    running requests, and its cycle."""

    credits: CreditBalance
    live: RunningRequests
    cycle: Cycle


class Holds(Protocol):
    """The holds of accounts. Every method may be called concurrently, for the same account too.

    `pending` has the writes that missed their deadline, and `deadlines` the callers that wait for a commit.
    """

    store: Store
    pending: PendingWrites
    deadlines: WriteDeadlines

    async def take_hold(self, hold_request: HoldRequest) -> HeldCredits | tuple[Refusal, Cycle]:
        """Take a hold until its settlement or `drop`, or until this process ends. If a limit refuses it,
        return the refusal and the account's cycle."""
        ...

    def mark_durable(self, request: str) -> None:
        """Note that a hold was stored as a `DurableHold`. Only its settlement or `drop` ends it."""
        ...

    def begin_settlement(self, hold_request: HoldRequest) -> None:
        """Note that an end of this request will be written."""
        ...

    def end_settlement(self, hold_request: HoldRequest, end: End | None) -> None:
        """Apply a committed end, and end the hold. None: no end was committed, or it is unknown which one."""
        ...

    def drop(self, request: str, account: str) -> None:
        """End a hold whose settlement could not be written. It returns at once."""
        ...

    async def release(self, request: str, account: str) -> None:
        """End a hold without a charge. When this returns, it does not count any more."""
        ...

    async def write_entries(
        self,
        entries: Sequence[Entry],
        extra_statements: Sequence[Statement] = (),
        first: Sequence[Statement] = (),
    ) -> None:
        """Write entries of one account that belong to no hold: grants, refunds, corrections. The statements
        `first` come before them, such as a lock.

        Once the store has them, they are written, even when the caller is cancelled or an answer is lost. It
        raises what `Store.write` raises.
        """
        ...

    async def account_state(self, payer: Payer) -> AccountState: ...

    async def held_allowance(self, account: str, pool: int) -> int:
        """Return the credits that running requests of the account hold in a pool: `GRANTED`, or the allowance
        of the cycle that began at this moment."""
        ...

    async def close(self) -> None: ...
