"""The settlement of one request. It is written once, even if its caller leaves or the database is
unreachable.

A settlement is an item in the store's queue of writes. The store answers it on the event loop, whether a
caller waits or not, so that no commit goes unnoticed. Until the database gets it, a newer `End` replaces an
older one.
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
    """The actor and the reason of a movement of credits. The extra statements, such as the audit entry, are
    written in the same transaction."""

    actor: str
    text: str = ""
    extra_statements: Sequence[Statement] = ()


_BROKEN_OFF = Reason("voxgate", "the answer was broken off while its settlement was being written")


class Settlement:
    """The settlement of one request. The database refuses a second one, because its key is the request's id.

    After a failure or a cancelled `write_end`, call `write_end` again or `write_later`.
    """

    def __init__(self, holds: Holds, hold_request: HoldRequest) -> None:
        self.is_written = False
        """Whether a call of `write_end` has returned without an error."""
        self.was_unreachable = False
        """Whether a call of `write_end` has raised StorageUnreachable."""
        self.content: Content = ()
        """The latest end, empty before the first one. The store reads it once, when the database gets it."""
        self._holds = holds
        self.hold_request = hold_request
        self._committed_end: End | None = None
        self._waiter: asyncio.Future[WriteOutcome] | None = None
        """The future that `write_end` waits for."""
        self._tries_left = 0
        self._is_submitted = False
        self._is_in_doubt = False
        """Whether a try ended without an answer, so that its end may have been committed."""
        self._is_committed = False

    async def write_end(self, end: End) -> None:
        """Write the end, and return after the commit. Raises StorageFailed, at the deadline at the latest.

        After StorageUnreachable or a cancellation, the end may be committed already, or later.
        """
        self._set_end(end)
        if self._is_committed:
            deadline = self._holds.deadlines.next_deadline()
        else:
            self._tries_left = _TRIES
            waiter = self._waiter = self._holds.deadlines.loop.create_future()
            deadline = self._holds.deadlines.add(waiter)
            if not self._is_submitted:
                self._submit()
            outcome = await waiter
            if isinstance(outcome, Exception):
                self.was_unreachable |= isinstance(outcome, StorageUnreachable)
                raise outcome
        if self._committed_end is not end:
            # An earlier end was committed first. If this end charges less, the difference is refunded.
            try:
                async with in_time(deadline):
                    await self._refund(end)
            except StorageUnreachable:
                self.was_unreachable = True
                raise
        self.is_written = True

    def write_later(self, end: End) -> None:
        """Let the end be written as soon as the database can be reached. Returns at once."""
        request = self.hold_request.request_id
        self._set_end(end)
        is_stored = self._holds.pending.add(f"settlement of {request}", lambda: self._write_late(end))
        if not is_stored and not self._is_submitted:
            self._holds.end_settlement(self.hold_request, None)
        _log.error(
            "settlement.write.failed",
            request=request,
            outcome=end.outcome,
            in_doubt=self._is_in_doubt or self._is_submitted,
            is_owed=is_stored,
        )

    async def write_once(self, end: End) -> None:
        """Write an end, unless another process has written one of this request. Raises StorageFailed."""
        try:
            await self.write_end(end)
        except StorageUnreachable:
            raise
        except StorageFailed:
            if not await usage.is_stored(self._holds.store, self.hold_request.request_id):
                raise
            self._holds.end_settlement(self.hold_request, None)

    def answer(self, content: Content, outcome: WriteOutcome) -> None:
        """Apply a commit, or try again. The store calls this once for each try."""
        self._is_submitted = False
        self._holds.deadlines.count_answer()
        if isinstance(outcome, list):
            assert isinstance(content, End)
            self._note_commit(content)
        elif isinstance(outcome, AlreadyExists):
            # Either a try without an answer was committed, or another settlement has this id.
            if self._is_in_doubt:
                self._note_commit(None)  # it is unknown which end was committed
            else:
                self._answer_waiter(StorageFailed("a request with this id was settled before"))
        elif isinstance(outcome, StorageUnreachable):
            self._is_in_doubt = True
            if self._has_waiter and self._tries_left > 0:
                self._submit()
            else:
                self._answer_waiter(outcome)
        else:
            self._answer_waiter(outcome)

    @property
    def _has_waiter(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _set_end(self, end: End) -> None:
        if not self.content:
            self._holds.begin_settlement(self.hold_request)
        self.content = end

    def _submit(self) -> None:
        self._tries_left -= 1
        self._is_submitted = True
        self._holds.deadlines.unanswered += 1
        self._holds.store.submit(self)

    def _note_commit(self, end: End | None) -> None:
        self._is_committed, self._committed_end = True, end
        self._holds.end_settlement(self.hold_request, end)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result([])

    def _answer_waiter(self, outcome: WriteOutcome) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(outcome)

    async def _write_late(self, end: End) -> None:
        await self.write_once(end)
        _log.info("settlement.write.complete", request=self.hold_request.request_id, outcome=end.outcome)

    async def _refund(self, end: End) -> None:
        """Refund the difference if the committed end charged more than this end.

        The charge is read from the database, because any of several tries may be the committed one."""
        spent = await entries.read_spending(self._holds.store, self.hold_request.request_id)
        too_much = sum(entry.amount for entry in end.entries) - sum(entry.amount for entry in spent)
        if too_much <= 0:
            return
        try:
            await give_back(self._holds, spent, too_much, self.hold_request.anchor, _BROKEN_OFF)
        except AlreadyExists:
            pass  # it was refunded before


async def give_back(
    holds: Holds, spent: Sequence[Entry], micro: int, anchor: int, reason: Reason
) -> list[Entry]:
    """Refund micro-credits of a request to the pools that paid them. Returns the entries of the refund,
    without those of 0 credits.

    The pool that paid last is refunded first. Raises AlreadyExists if the request was refunded before.
    """
    now = await holds.store.now()
    refunds = _refund_entries(spent, micro, cycle_at(anchor, now), now, reason)
    usage_update = usage.refund_statement(spent[0].request or "", micro)
    # A refund locks the pools in the order of settlements. Otherwise the two could deadlock.
    await holds.write_entries(refunds[::-1], (usage_update, *reason.extra_statements))
    return [entry for entry in refunds if entry.amount]


def _refund_entries(
    spent: Sequence[Entry], micro: int, cycle: Cycle, now: int, reason: Reason
) -> list[Entry]:
    """Make an entry for each pool, even for 0 credits: the ids make a second refund impossible."""
    refunds: list[Entry] = []
    left = micro
    for entry in reversed(spent):
        amount = min(left, -entry.amount)
        left -= amount
        refunds.append(
            Entry(
                id=entries.refund_id(entry.id),
                account=entry.account,
                # The allowance of an ended cycle cannot be spent, so the refund becomes granted credits.
                pool=entry.pool if entry.pool == cycle.start else GRANTED,
                amount=amount,
                kind="refund",
                at=now,
                request=entry.request,
                reason=reason.text,
                actor=reason.actor,
            )
        )
    return refunds
