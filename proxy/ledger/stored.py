"""Holds of several workers: rows on PostgreSQL, decided where all of them meet, renewed while they live."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

import structlog

from policies.admission import Refusal, admit
from policies.cycles import cycle_at
from policies.quota import Split
from proxy.ledger.holds import Held, Position, Refused, Wanted
from proxy.storage import entries, holds
from proxy.storage.entries import Entry
from proxy.storage.holds import Found
from proxy.storage.joined import joined
from proxy.storage.store import Params, Statement, StorageFailed, Store

HOLD_S = 60
"""How long a hold outlives the worker that took it."""
RENEW_S = 20.0
_LONG = 10 * 60
_SECOND = 1_000_000

_log = structlog.get_logger()


class StoredHolds:
    """Make it in a running loop. A `lost` hold is one that may be a row while nobody needs it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._worker = secrets.token_hex(8)
        self._live: set[str] = set()
        self._lost: set[str] = set()
        self._renewing = asyncio.create_task(self._keep_renewing(), name="holds renewal")

    def __repr__(self) -> str:
        return f"<StoredHolds {len(self._live)} live of worker {self._worker}>"

    async def take(self, wanted: Wanted) -> Held:
        now = await self._store.now()
        cycle = cycle_at(wanted.anchor, now)
        row = {**_place(wanted, cycle.start, now), **self._row(wanted, now)}
        taken = await self._take(row, wanted.request)
        if isinstance(taken, Split):
            self._live.add(wanted.request)
            return Held(taken, cycle, now)
        refusal = admit(wanted.amount, wanted.terms, taken.live, taken.standing)
        assert isinstance(refusal, Refusal), "the statement and the policy are the same rule"
        raise Refused(refusal, cycle)

    async def settle(self, wanted: Wanted, moved: Sequence[Entry], beside: Sequence[Statement]) -> None:
        added = [statement for entry in moved for statement in entries.added(entry)]
        await self._store.write(joined((*beside, *added, holds.dropped(wanted.request))))
        self._live.discard(wanted.request)

    async def drop(self, request: str, account: str) -> None:
        del account
        self._live.discard(request)
        self._lost.add(request)
        await self._drop_lost()

    async def move(self, moved: Sequence[Entry], beside: Sequence[Statement] = ()) -> None:
        added = [statement for entry in moved for statement in entries.added(entry)]
        await self._store.write(*added, *beside)

    async def spent(self, request: str) -> list[Entry]:
        return await entries.spent(self._store, request)

    async def position(self, wanted: Wanted) -> Position:
        now = await self._store.now()
        cycle = cycle_at(wanted.anchor, now)
        found = await holds.find(self._store, _place(wanted, cycle.start, now))
        return Position(found.standing, found.live, cycle)

    async def close(self) -> None:
        self._renewing.cancel()
        await asyncio.wait([self._renewing])

    async def _take(self, row: Params, request: str) -> Split | Found:
        try:
            return await holds.take(self._store, row)
        except BaseException:
            # It may be there all the same, and would count until its time is over.
            self._lost.add(request)
            raise

    async def _drop_lost(self) -> None:
        lost = list(self._lost)
        try:
            await self._store.write(*map(holds.dropped, lost))
        except StorageFailed:
            return  # tried again with the next one, or the next renewal
        self._lost.difference_update(lost)

    def _row(self, wanted: Wanted, now: int) -> Params:
        return {
            "request": wanted.request,
            "worker": self._worker,
            "amount": wanted.amount,
            "streams": wanted.terms.streams,
            "key_streams": wanted.terms.key.streams,
            "expires": now + HOLD_S * _SECOND,
        }

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            await self._renew()

    async def _renew(self) -> None:
        if self._lost:
            await self._drop_lost()
        if not self._live:
            return
        try:
            now = await self._store.now()
            expires, long_ago = now + HOLD_S * _SECOND, now - _LONG * _SECOND
            await holds.renew(self._store, self._worker, self._live, expires=expires, long_ago=long_ago)
        except StorageFailed as error:
            _log.warning("hold.renew.failed", live=len(self._live), reason=str(error))


def _place(wanted: Wanted, pool: int, now: int) -> Params:
    return {
        "account": wanted.account,
        "key": wanted.key,
        "allowance": wanted.terms.allowance,
        "pool": pool,
        "now": now,
    }
