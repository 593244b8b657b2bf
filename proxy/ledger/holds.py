"""The interface of holds: in memory with SQLite, as rows on PostgreSQL.

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
    """An account under its terms, by one of its keys. Its cycles are counted from the anchor."""

    account: str
    key: str
    anchor: int
    terms: Terms

    def of_job(self) -> Self:
        """Return the payer of a job: it has no key, and limits of streams do not apply."""
        terms = msgspec.structs.replace(self.terms, streams=None, key=Caps())
        return msgspec.structs.replace(self, key=JOB_KEY, terms=terms)


class HoldRequest(Payer, frozen=True, kw_only=True):
    """The hold that a request needs: for which account, and the most that it is expected to cost.

    A job's hold is no stream: it has no key, and limits of streams do not apply. `job` is the id of a job
    that speaks, and `tag` is for its row of usage.
    """

    request_id: str
    amount: int
    estimated_s: float = 0.0
    is_stream: bool = True
    job: str = ""
    tag: str = ""


class HeldCredits(msgspec.Struct, frozen=True):
    """A hold that was taken. It settles in the cycle it was taken in, however late that is."""

    split: Split
    cycle: Cycle
    at: int


class AccountState(msgspec.Struct, frozen=True):
    """What decides whether an account may begin a request: its credits less its running holds, the number of
    its running requests, and its cycle."""

    credits: CreditBalance
    live: RunningRequests
    cycle: Cycle


class Holds(Protocol):
    """The holds of accounts. Every method may be called concurrently, for the same account too.

    `pending` has the writes that missed their deadline, and `deadlines` the callers that still wait.
    """

    store: Store
    pending: PendingWrites
    deadlines: WriteDeadlines

    async def take(self, hold_request: HoldRequest) -> HeldCredits | tuple[Refusal, Cycle]:
        """Take a hold until its settlement or `drop`, or until this process ends.

        A refusal comes with the account's cycle.
        """
        ...

    def keep(self, request: str) -> None:
        """Note that a hold is a row that outlives this process. Only its settlement or `drop` ends it."""
        ...

    def begin_settlement(self, hold_request: HoldRequest) -> None:
        """Note that an end of this request will be written."""
        ...

    def end_settlement(self, hold_request: HoldRequest, end: End | None) -> None:
        """Apply a committed end. None means that no end was committed, or that it is not known which one."""
        ...

    def drop(self, request: str, account: str) -> None:
        """End a hold whose end could not be written. It returns at once."""
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

        Once the store has them, they are carried out, even when the caller is cancelled or an answer is lost.
        It raises what `Store.write` raises.
        """
        ...

    async def position(self, payer: Payer) -> AccountState: ...

    async def held(self, account: str, pool: int) -> int:
        """Return the credits that running requests of the account hold in a pool: `GRANTED`, or the allowance
        of the cycle that began at this moment."""
        ...

    async def close(self) -> None: ...
