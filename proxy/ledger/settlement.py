"""The settlement of one request. It is written once, even if its caller leaves or the database is away.

A settlement is an item in the store's list. The store answers it on the event loop, also when its caller is
gone, so that nothing is lost. Until the database has it, a newer end takes the place of the older one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from policies.cycles import Cycle, cycle_at
from proxy.ledger.holds import HoldRequest, Holds
from proxy.ledger.pending_writes import in_time
from proxy.storage import entries, usage
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.settlements import End
from proxy.storage.store import (
    AlreadyExists,
    Content,
    Statement,
    StorageFailed,
    StorageUnreachable,
    WriteOutcome,
)

__all__ = ["End", "Settlement"]

_TRIES = 3

_log = structlog.get_logger()


class Reason(msgspec.Struct, frozen=True):
    """The actor and the reason of a movement. The extra statements, such as the audit, are in the same unit
    of work."""

    actor: str
    text: str = ""
    extra_statements: Sequence[Statement] = ()


_BROKEN_OFF = Reason("voxgate", "the answer was broken off while its settlement was being written")


class Settlement:
    """The settlement of one request. It has the request's id, so it cannot be counted twice.

    After a failure or a cancelled `write`, call `write` again or `write_later`.
    """

    def __init__(self, holds: Holds, hold_request: HoldRequest) -> None:
        self.is_written = False
        """Whether a `write` has returned."""
        self.was_unreachable = False
        """Whether a `write` has waited for the database in vain."""
        self.content: Content = ()
        """The end as it is now, empty before the first one. The store reads it when the database gets it."""
        self._holds = holds
        self._hold_request = hold_request
        self._written: End | None = None
        self._caller: asyncio.Future[WriteOutcome] | None = None
        self._tries_left = 0
        self._is_under_way = False
        self._is_in_doubt = False
        self._is_on_disk = False

    async def write(self, end: End) -> None:
        """Write the end, and return after the commit. Raises StorageFailed before the deadline.

        After StorageUnreachable, or when the caller is cancelled, an end may still be written.
        """
        self._aim_at(end)
        if self._is_on_disk:
            deadline = self._holds.deadlines.next()
        else:
            self._tries_left = _TRIES
            caller = self._caller = self._holds.deadlines.loop.create_future()
            deadline = self._holds.deadlines.add(caller)
            if not self._is_under_way:
                self._submit()
            outcome = await caller
            if isinstance(outcome, Exception):
                self.was_unreachable |= isinstance(outcome, StorageUnreachable)
                raise outcome
        if self._written is not end:
            # An earlier end was committed first. If this end charges less, the difference is refunded.
            try:
                async with in_time(deadline):
                    await self._refund(end)
            except StorageUnreachable:
                self.was_unreachable = True
                raise
        self.is_written = True

    def write_later(self, end: End) -> None:
        """Write an end as soon as the database takes it. It returns at once."""
        request = self._hold_request.request_id
        self._aim_at(end)
        is_stored = self._holds.pending.add(f"settlement of {request}", lambda: self._write_late(end))
        if not is_stored and not self._is_under_way:
            self._holds.end_settlement(self._hold_request, None)
        _log.error(
            "settlement.write.failed",
            request=request,
            outcome=end.outcome,
            in_doubt=self._is_in_doubt or self._is_under_way,
            is_owed=is_stored,
        )

    def leave(self) -> None:
        """Stop after a refused `write`, since another process has written an end."""
        self._holds.end_settlement(self._hold_request, None)

    def answer(self, content: Content, outcome: WriteOutcome) -> None:
        """Apply a commit, or try again. The store calls this once for each try."""
        self._is_under_way = False
        self._holds.deadlines.answered()
        if isinstance(outcome, list):
            assert isinstance(content, End)
            self._accept(content)
        elif isinstance(outcome, AlreadyExists):
            self._accept_earlier_try()
        elif isinstance(outcome, StorageUnreachable):
            self._is_in_doubt = True
            if self._has_caller and self._tries_left > 0:
                self._submit()
            else:
                self._tell(outcome)
        else:
            self._tell(outcome)

    @property
    def _has_caller(self) -> bool:
        return self._caller is not None and not self._caller.done()

    def _aim_at(self, end: End) -> None:
        if not self.content:
            self._holds.begin_settlement(self._hold_request)
        self.content = end

    def _submit(self) -> None:
        self._tries_left -= 1
        self._is_under_way = True
        self._holds.deadlines.unanswered += 1
        self._holds.store.submit(self)

    def _accept_earlier_try(self) -> None:
        if self._is_in_doubt:
            self._accept(None)
        else:
            self._tell(StorageFailed("a request with this id was settled before"))

    def _accept(self, end: End | None) -> None:
        self._is_on_disk, self._written = True, end
        self._holds.end_settlement(self._hold_request, end)
        if self._caller is not None and not self._caller.done():
            self._caller.set_result([])

    def _tell(self, outcome: WriteOutcome) -> None:
        if self._caller is not None and not self._caller.done():
            self._caller.set_result(outcome)

    async def _write_late(self, end: End) -> None:
        await self.write(end)
        _log.info("settlement.write.complete", request=self._hold_request.request_id, outcome=end.outcome)

    async def _refund(self, end: End) -> None:
        """Refund the excess of the end on the disk. After several tries it is not known which end was
        written."""
        spent = await entries.spent(self._holds.store, self._hold_request.request_id)
        too_much = sum(entry.amount for entry in end.entries) - sum(entry.amount for entry in spent)
        if too_much <= 0:
            return
        try:
            await give_back(self._holds, spent, too_much, self._hold_request.anchor, _BROKEN_OFF)
        except AlreadyExists:
            pass  # it was refunded before


async def give_back(
    holds: Holds, spent: Sequence[Entry], micro: int, anchor: int, reason: Reason
) -> list[Entry]:
    """Give back the spending of one request, or a part, to its pools.

    Entries come back in reverse order. Raises AlreadyExists when the request was refunded before.
    """
    now = await holds.store.now()
    back = _entries(spent, micro, cycle_at(anchor, now), now, reason)
    shown = usage.refund_statement(spent[0].request or "", micro)
    # In the order of settlements. In the other order, a refund and a settlement would block each other.
    await holds.move(back[::-1], (shown, *reason.extra_statements))
    return [entry for entry in back if entry.amount]


def _entries(spent: Sequence[Entry], micro: int, cycle: Cycle, now: int, reason: Reason) -> list[Entry]:
    """Make one entry for each pool, even of nothing: their ids make a second refund impossible."""
    back: list[Entry] = []
    left = micro
    for entry in reversed(spent):
        amount = min(left, -entry.amount)
        left -= amount
        back.append(
            Entry(
                id=entries.refund_id(entry.id),
                account=entry.account,
                # The allowance of a cycle that is over cannot be spent, so it comes back as granted credits.
                pool=entry.pool if entry.pool == cycle.start else GRANTED,
                amount=amount,
                kind="refund",
                at=now,
                request=entry.request,
                reason=reason.text,
                actor=reason.actor,
            )
        )
    return back
