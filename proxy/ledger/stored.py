"""Holds of several workers: rows on PostgreSQL, decided where all of them meet, renewed while they live."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

import structlog

from policies.admission import Refusal, admit
from policies.cycles import cycle_at
from policies.quota import Split
from proxy.ledger.holds import HeldCredits, HoldRefused, HoldRequest, Payer, Position
from proxy.ledger.pending_writes import PendingWrites
from proxy.ledger.retry import in_time, insist
from proxy.storage import entries, holds
from proxy.storage.entries import Entry
from proxy.storage.holds import AccountHolds
from proxy.storage.postgres_sql import join_writes
from proxy.storage.store import AlreadyExists, Params, Statement, StorageFailed, StorageUnreachable, Store
from proxy.telemetry import UNWATCHED, RepeatingTask, Watch

HOLD_S = 60
"""How long a hold outlives the worker that took it."""
RENEW_S = 20.0
_LONG = 10 * 60
_SECOND = 1_000_000

_log = structlog.get_logger()


class StoredHolds:
    """Make it in a running loop. A `lost` hold is one that may be a row while nobody needs it, with the
    moment from which it cannot come any more."""

    def __init__(self, store: Store, watch: Watch = UNWATCHED) -> None:
        self.store = store
        self.arrears = PendingWrites(watch)
        self._worker = secrets.token_hex(8)
        self._live: set[str] = set()
        self._lost: dict[str, float] = {}
        self._taking: set[asyncio.Task[Split | AccountHolds]] = set()
        self._renewing = RepeatingTask("holds renewal", self._renew, RENEW_S, watch)

    def __repr__(self) -> str:
        return f"<StoredHolds {len(self._live)} live of worker {self._worker}>"

    async def take(self, wanted: HoldRequest) -> HeldCredits:
        now = await self.store.now()
        cycle = cycle_at(wanted.anchor, now)
        row = {**_place(wanted, cycle.start, now), **self._row(wanted, now)}
        taken = await self._take(row, wanted.request)
        if isinstance(taken, Split):
            self._live.add(wanted.request)
            return HeldCredits(taken, cycle, now)
        refusal = admit(wanted.amount, wanted.terms, taken.live, taken.standing)
        assert isinstance(refusal, Refusal), "the statement and the policy are the same rule"
        raise HoldRefused(refusal, cycle)

    async def settle(self, wanted: HoldRequest, moved: Sequence[Entry], beside: Sequence[Statement]) -> None:
        await self.store.write(join_writes((*beside, *_added(moved), holds.dropped(wanted.request))))
        self._live.discard(wanted.request)

    def drop(self, request: str, account: str) -> None:
        del account
        self._live.discard(request)
        self._lose(request)

    async def move(self, moved: Sequence[Entry], beside: Sequence[Statement] = ()) -> None:
        is_in_doubt = False

        async def write() -> None:
            nonlocal is_in_doubt
            try:
                await self.store.write(*_added(moved), *beside)
            except StorageUnreachable:
                is_in_doubt = True
                raise

        try:
            async with in_time():
                await insist(write)
        except AlreadyExists:
            # By a try of our own, whose answer was lost; or by somebody else's entry.
            if not is_in_doubt or not await entries.are_there(self.store, moved):
                raise

    async def position(self, payer: Payer) -> Position:
        now = await self.store.now()
        cycle = cycle_at(payer.anchor, now)
        found = await holds.find(self.store, _place(payer, cycle.start, now))
        return Position(found.standing, found.live, cycle)

    async def close(self) -> None:
        await self._renewing.close()
        if self._taking:
            await asyncio.wait(self._taking)
        await self.arrears.close()

    async def _take(self, row: Params, request: str) -> Split | AccountHolds:
        taking = asyncio.create_task(holds.take(self.store, row))
        self._taking.add(taking)
        taking.add_done_callback(self._taking.discard)
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            # It is carried out all the same, and would count until its time is over: away with it once it is
            # there, and not before.
            taking.add_done_callback(lambda taken: self._lose_taken(taken, request))
            raise
        except StorageUnreachable:
            self._lose(request, may_come=True)
            raise

    def _lose_taken(self, taken: asyncio.Task[Split | AccountHolds], request: str) -> None:
        error = None if taken.cancelled() else taken.exception()
        self._lose(request, may_come=taken.cancelled() or isinstance(error, StorageUnreachable))

    def _lose(self, request: str, *, may_come: bool = False) -> None:
        """A row whose fate is unknown may still come after it was dropped, until its own time is over."""
        self._lost[request] = _now() + HOLD_S if may_come else 0.0
        self.arrears.owe("lost holds", self._drop_lost)

    async def _drop_lost(self) -> None:
        now, lost = _now(), dict(self._lost)
        if lost:
            await holds.drop(self.store, lost)
        for request, until in lost.items():
            if until <= now and self._lost.get(request) == until:
                del self._lost[request]

    def _row(self, wanted: HoldRequest, now: int) -> Params:
        return {
            "request": wanted.request,
            "worker": self._worker,
            "amount": wanted.amount,
            "streams": wanted.terms.streams,
            "key_streams": wanted.terms.key.streams,
            "expires": now + HOLD_S * _SECOND,
        }

    async def _renew(self) -> None:
        if self._lost:
            self.arrears.owe("lost holds", self._drop_lost)
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


def _added(moved: Sequence[Entry]) -> list[Statement]:
    return [statement for entry in moved for statement in entries.added(entry)]


def _now() -> float:
    return asyncio.get_running_loop().time()
