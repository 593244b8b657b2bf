"""How the end of a request comes onto the disk: once, however often that has to be tried."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from proxy.ledger.holds import HoldRequest, Holds
from proxy.ledger.refunds import Reason, give_back
from proxy.ledger.retry import in_time, insist
from proxy.storage import entries
from proxy.storage.entries import Entry
from proxy.storage.store import AlreadyExists, Statement, StorageFailed, StorageUnreachable
from proxy.storage.usage import Outcome

_BROKEN_OFF = Reason("voxgate", "the answer was broken off while its settlement was being written")

_log = structlog.get_logger()


class End(msgspec.Struct, frozen=True):
    """What a request has come to: its entries, and what is written beside them."""

    outcome: Outcome
    moved: Sequence[Entry]
    beside: Sequence[Statement]


class Settlement:
    """Of one request. It has the request's own id, so it cannot be counted twice."""

    def __init__(self, holds: Holds, wanted: HoldRequest) -> None:
        self._holds = holds
        self._wanted = wanted
        self._is_in_doubt = False

    def __repr__(self) -> str:
        return f"<Settlement {self._wanted.request}{', in doubt' if self._is_in_doubt else ''}>"

    async def write(self, end: End) -> None:
        """Returns after the commit. Raises StorageFailed, in time; where it is StorageUnreachable, or the
        caller is cancelled, an end may be on the disk all the same."""
        async with in_time():
            try:
                await insist(lambda: self._try(end))
            except AlreadyExists:
                await self._stands(end)

    def owe(self, end: End) -> None:
        """For an end that could not be written: it is, once the database takes it. Nobody waits for that."""
        request = self._wanted.request
        is_owed = self._holds.arrears.owe(f"settlement of {request}", lambda: self._make_up(end))
        _log.error(
            "settlement.write.failed",
            request=request,
            outcome=end.outcome,
            in_doubt=self._is_in_doubt,
            is_owed=is_owed,
        )

    async def _make_up(self, end: End) -> None:
        await self.write(end)
        _log.info("settlement.write.complete", request=self._wanted.request, outcome=end.outcome)

    async def _try(self, end: End) -> None:
        try:
            await self._holds.settle(self._wanted, end.moved, end.beside)
        except (StorageUnreachable, asyncio.CancelledError):
            self._is_in_doubt = True
            raise

    async def _stands(self, end: End) -> None:
        """A try whose answer was lost had reached the disk; but nobody pays for an answer broken off."""
        if not self._is_in_doubt:
            raise StorageFailed("a request with this id was settled before")
        if end.outcome == "failed":
            await self._give_back()
        self._holds.drop(self._wanted.request, self._wanted.account)

    async def _give_back(self) -> None:
        """What is on disk, and not what was tried: of several tries nobody knows which one came through."""
        spent = await entries.spent(self._holds.store, self._wanted.request)
        if not spent:
            return
        charged = -sum(entry.amount for entry in spent)
        try:
            await give_back(self._holds, spent, charged, self._wanted.anchor, _BROKEN_OFF)
        except AlreadyExists:
            pass  # somebody refunded it before
