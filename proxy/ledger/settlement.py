"""The settlement of a request: its end is written to the database once, however many tries it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from proxy.ledger.holds import HoldRequest, Holds
from proxy.ledger.pending_writes import in_time, write_with_retries
from proxy.ledger.refunds import Reason, give_back
from proxy.storage import entries
from proxy.storage.entries import Entry
from proxy.storage.store import AlreadyExists, Statement, StorageFailed, StorageUnreachable
from proxy.storage.usage import Outcome

_BROKEN_OFF = Reason("voxgate", "the answer was broken off while its settlement was being written")

_log = structlog.get_logger()


class End(msgspec.Struct, frozen=True):
    """The end of a request: its entries, and the statements that are written with them."""

    outcome: Outcome
    new_entries: Sequence[Entry]
    extra_statements: Sequence[Statement]


class Settlement:
    """The settlement of one request. It has the request's id, so it cannot be counted twice."""

    def __init__(self, holds: Holds, hold_request: HoldRequest) -> None:
        self._holds = holds
        self._hold_request = hold_request
        self._is_in_doubt = False

    def __repr__(self) -> str:
        return f"<Settlement {self._hold_request.request_id}{', in doubt' if self._is_in_doubt else ''}>"

    async def write(self, end: End) -> None:
        """Write the end, and return after the commit. Raises StorageFailed before the deadline.

        After StorageUnreachable, or when the caller is cancelled, an end may still be on the disk.
        """
        async with in_time():
            try:
                await write_with_retries(lambda: self._try(end))
            except AlreadyExists:
                await self._check_earlier_try(end)

    def write_later(self, end: End) -> None:
        """Write an end as soon as the database takes it. It returns at once."""
        request = self._hold_request.request_id
        is_kept = self._holds.pending.add(f"settlement of {request}", lambda: self._write_late(end))
        _log.error(
            "settlement.write.failed",
            request=request,
            outcome=end.outcome,
            in_doubt=self._is_in_doubt,
            is_owed=is_kept,
        )

    async def _write_late(self, end: End) -> None:
        await self.write(end)
        _log.info("settlement.write.complete", request=self._hold_request.request_id, outcome=end.outcome)

    async def _try(self, end: End) -> None:
        try:
            await self._holds.settle(self._hold_request, end.new_entries, end.extra_statements)
        except (StorageUnreachable, asyncio.CancelledError):
            self._is_in_doubt = True
            raise

    async def _check_earlier_try(self, end: End) -> None:
        """Accept an earlier try whose answer was lost. A failed request gets its credits back."""
        if not self._is_in_doubt:
            raise StorageFailed("a request with this id was settled before")
        if end.outcome == "failed":
            await self._refund()
        self._holds.drop(self._hold_request.request_id, self._hold_request.account)

    async def _refund(self) -> None:
        """Refund what is on the disk. After several tries it is not known which one came through."""
        spent = await entries.spent(self._holds.store, self._hold_request.request_id)
        if not spent:
            return
        charged = -sum(entry.amount for entry in spent)
        try:
            await give_back(self._holds, spent, charged, self._hold_request.anchor, _BROKEN_OFF)
        except AlreadyExists:
            pass  # somebody refunded it before
