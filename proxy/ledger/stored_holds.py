"""Holds as rows on PostgreSQL, for several workers: the database decides, and workers renew running holds."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

import structlog

from policies.admission import Refusal, admit
from policies.cycles import cycle_at
from policies.quota import Split
from proxy.ledger.holds import HeldCredits, HoldRefused, HoldRequest, Payer, Position
from proxy.ledger.pending_writes import PendingWrites, in_time, write_with_retries
from proxy.storage import entries, holds
from proxy.storage.entries import Entry
from proxy.storage.holds import AccountHolds
from proxy.storage.postgres_sql import join_writes
from proxy.storage.store import AlreadyExists, Params, Statement, StorageFailed, StorageUnreachable, Store
from proxy.telemetry import Metrics, RepeatingTask

HOLD_S = 60
"""The time that a hold outlives the worker that took it."""
RENEW_S = 20.0
_LONG = 10 * 60
_SECOND = 1_000_000

_log = structlog.get_logger()


class StoredHolds:
    """The holds of one worker. Create it in a running loop.

    A `lost` hold may be a row though no request needs it. It is kept with the moment from which it cannot
    come any more.
    """

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self.store = store
        self.pending = PendingWrites(metrics)
        self._worker = secrets.token_hex(8)
        self._live: set[str] = set()
        self._lost: dict[str, float] = {}
        self._taking: set[asyncio.Task[Split | AccountHolds]] = set()
        self._renewing = RepeatingTask("holds renewal", self._renew, RENEW_S, metrics)

    def __repr__(self) -> str:
        return f"<StoredHolds {len(self._live)} live of worker {self._worker}>"

    async def take(self, hold_request: HoldRequest) -> HeldCredits:
        now = await self.store.now()
        cycle = cycle_at(hold_request.anchor, now)
        row = {**_place(hold_request, cycle.start, now), **self._row(hold_request, now)}
        taken = await self._take(row, hold_request.request_id)
        if isinstance(taken, Split):
            self._live.add(hold_request.request_id)
            return HeldCredits(taken, cycle, now)
        refusal = admit(hold_request.amount, hold_request.terms, taken.live, taken.credits)
        assert isinstance(refusal, Refusal), "the statement and the policy are the same rule"
        raise HoldRefused(refusal, cycle)

    async def settle(
        self, hold_request: HoldRequest, new_entries: Sequence[Entry], extra_statements: Sequence[Statement]
    ) -> None:
        await self.store.write(
            join_writes(
                (*extra_statements, *_statements(new_entries), holds.drop_statement(hold_request.request_id))
            )
        )
        self._live.discard(hold_request.request_id)

    def drop(self, request: str, account: str) -> None:
        del account
        self._live.discard(request)
        self._drop_later(request)

    async def move(self, new_entries: Sequence[Entry], extra_statements: Sequence[Statement] = ()) -> None:
        is_in_doubt = False

        async def write() -> None:
            nonlocal is_in_doubt
            try:
                await self.store.write(*_statements(new_entries), *extra_statements)
            except StorageUnreachable:
                is_in_doubt = True
                raise

        try:
            async with in_time():
                await write_with_retries(write)
        except AlreadyExists:
            # The row is from an earlier try whose answer was lost, or it is another entry.
            if not is_in_doubt or not await entries.are_there(self.store, new_entries):
                raise

    async def position(self, payer: Payer) -> Position:
        now = await self.store.now()
        cycle = cycle_at(payer.anchor, now)
        found = await holds.find(self.store, _place(payer, cycle.start, now))
        return Position(found.credits, found.live, cycle)

    async def close(self) -> None:
        await self._renewing.close()
        if self._taking:
            await asyncio.wait(self._taking)
        await self.pending.close()

    async def _take(self, row: Params, request: str) -> Split | AccountHolds:
        taking = asyncio.create_task(holds.take(self.store, row))
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The take is still carried out, and would count until it expires. Drop its row when the row is
            # there, and not before.
            taking.add_done_callback(lambda taken: self._drop_when_taken(taken, request))
            raise
        except StorageUnreachable:
            self._drop_later(request, may_come=True)
            raise

    def _drop_when_taken(self, taken: asyncio.Task[Split | AccountHolds], request: str) -> None:
        error = None if taken.cancelled() else taken.exception()
        self._drop_later(request, may_come=taken.cancelled() or isinstance(error, StorageUnreachable))

    def _drop_later(self, request: str, *, may_come: bool = False) -> None:
        """Drop a row soon. When its fate is unknown, it may still come after that, until it expires."""
        self._lost[request] = _now() + HOLD_S if may_come else 0.0
        self.pending.add("lost holds", self._drop_lost)

    async def _drop_lost(self) -> None:
        now, lost = _now(), dict(self._lost)
        if lost:
            await holds.drop(self.store, lost)
        for request, until in lost.items():
            if until <= now and self._lost.get(request) == until:
                del self._lost[request]

    def _row(self, hold_request: HoldRequest, now: int) -> Params:
        return {
            "request": hold_request.request_id,
            "worker": self._worker,
            "amount": hold_request.amount,
            "streams": hold_request.terms.streams,
            "key_streams": hold_request.terms.key.streams,
            "expires": now + HOLD_S * _SECOND,
        }

    async def _renew(self) -> None:
        if self._lost:
            self.pending.add("lost holds", self._drop_lost)
        if not self._live:
            return
        try:
            now = await self.store.now()
            expires, long_ago = now + HOLD_S * _SECOND, now - _LONG * _SECOND
            await holds.renew(self.store, self._worker, self._live, expires=expires, long_ago=long_ago)
        except StorageFailed as error:
            _log.warning("hold.renew.failed", live=len(self._live), reason=str(error))


def _place(payer: Payer, pool: int, now: int) -> Params:
    return {
        "account": payer.account,
        "key": payer.key,
        "allowance": payer.terms.allowance,
        "pool": pool,
        "now": now,
    }


def _statements(new_entries: Sequence[Entry]) -> list[Statement]:
    return [statement for entry in new_entries for statement in entries.insert_statements(entry)]


def _now() -> float:
    return asyncio.get_running_loop().time()
