"""Holds as rows on PostgreSQL, for several workers. The database decides on them, and workers renew them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence

import structlog

from policies.admission import Refusal, Split, admit
from policies.cycles import Cycle, cycle_at
from policies.price import MICRO
from proxy.ledger.holds import AccountState, HeldCredits, HoldRequest, Payer
from proxy.ledger.pending_writes import PendingWrites, WriteDeadlines, in_time
from proxy.storage import entries, holds
from proxy.storage import store as database
from proxy.storage.batch_writer import UnitWrite
from proxy.storage.entries import Entry
from proxy.storage.holds import Take
from proxy.storage.settlements import End
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics

HOLD_S = 20
"""The time from a renewal to the end of a hold. If the database stalls for 10 s, no hold expires."""
RENEW_S = 6.0
_RENEWAL_RETRY_S = 1.0
_RENEWAL_LIMIT_S = 5.0
_EXPIRED_LONG_S = 10 * 60
"""A hold that expired so many seconds ago is deleted."""
_WRITE_TRIES = 3
_SECOND_US = 1_000_000

_log = structlog.get_logger()


class StoredHolds:
    """The holds of one worker. Create it in a running loop.

    A lost hold may have a row although no request needs it. `_lost` has the time after which its row cannot
    appear any more.
    """

    def __init__(self, store: database.Store, metrics: Metrics) -> None:
        self.store = store
        self.pending = PendingWrites(metrics)
        self._charged = metrics.credits
        self.deadlines = WriteDeadlines()
        self._worker = secrets.token_hex(8)
        self._live: set[str] = set()
        self._lost: dict[str, float] = {}
        self._renewing = RepeatingTask("holds renewal", self._renew_all, RENEW_S, metrics)

    def __repr__(self) -> str:
        return f"<StoredHolds {len(self._live)} live of worker {self._worker}>"

    async def take_hold(self, hold_request: HoldRequest) -> HeldCredits | tuple[Refusal, Cycle]:
        if not hold_request.is_stream:
            hold_request = hold_request.of_job()
        now = await self.store.now()
        cycle = cycle_at(hold_request.anchor, now)
        answer = holds.take_result(await self._take(self._row(hold_request, cycle.start, now)))
        if isinstance(answer, Split):
            self._live.add(hold_request.request_id)
            return HeldCredits(answer, cycle, now)
        refusal = admit(hold_request.amount, hold_request.terms, answer.live, answer.credits)
        if isinstance(refusal, Split):
            # Never: 2,000 cases of tests/proxy/storage/test_holds.py show that SQL and Python agree.
            refusal = Refusal("credits", answer.credits.available or 0)
        return refusal, cycle

    def mark_durable(self, request: str) -> None:
        # A renewed hold would expire.
        self._live.discard(request)

    def begin_settlement(self, hold_request: HoldRequest) -> None:
        del hold_request  # nothing is in memory that could be forgotten

    def end_settlement(self, hold_request: HoldRequest, end: End | None) -> None:
        self._live.discard(hold_request.request_id)
        if end is None:
            self._drop_later(hold_request.request_id)
        elif end.usage.credits:
            self._charged.counts[(end.usage.kind,)] += end.usage.credits / MICRO

    def drop(self, request: str, account: str) -> None:
        del account
        self._live.discard(request)
        self._drop_later(request)

    async def release(self, request: str, account: str) -> None:
        self._live.discard(request)
        is_deleted = False
        try:
            async with in_time(self.deadlines.next_deadline()):
                await holds.drop(self.store, (request,))
            is_deleted = True
        except database.StorageFailed:
            pass  # `drop` deletes it later
        finally:
            if not is_deleted:
                self.drop(request, account)

    async def write_entries(
        self,
        new_entries: Sequence[Entry],
        extra_statements: Sequence[database.Statement] = (),
        first: Sequence[database.Statement] = (),
    ) -> None:
        unit = (*first, *entries.insert_all_statements(new_entries), *extra_statements)
        was_tried = False

        async def write() -> None:
            nonlocal was_tried
            is_first, was_tried = not was_tried, True
            try:
                await self.store.write(*unit)
            except database.AlreadyExists:
                # Either an earlier try was committed and its answer was lost, or another entry has this id.
                if is_first or not await entries.are_stored(self.store, new_entries):
                    raise

        async with in_time(self.deadlines.next_deadline()):
            await database.until_written(write, _WRITE_TRIES)

    async def account_state(self, payer: Payer) -> AccountState:
        now = await self.store.now()
        cycle = cycle_at(payer.anchor, now)
        params: database.Params = {
            "account": payer.account,
            "key": payer.key,
            "allowance": payer.terms.allowance,
            "pool": cycle.start,
            "now": now,
        }
        account = await holds.read_account_holds(self.store, params)
        return AccountState(account.credits, account.live, cycle)

    async def held_allowance(self, account: str, pool: int) -> int:
        return await holds.sum_held_allowance(self.store, account, pool)

    async def close(self) -> None:
        await self._renewing.aclose()
        await self.deadlines.close()
        await self.pending.close()

    async def _take(self, take: Take) -> database.Row:
        taking = _Taking(self, take)
        self.deadlines.add(taking.outcome)
        self.deadlines.unanswered += 1
        self.store.submit(taking)
        try:
            outcome = await taking.outcome
        except asyncio.CancelledError:
            if not taking.outcome.cancelled():
                # The answer came in the turn of the event loop in which the caller was cancelled.
                self.drop_taken(take.request, taking.outcome.result())
            raise
        if isinstance(outcome, Exception):
            if isinstance(outcome, database.StorageUnreachable):
                self._drop_later(take.request, may_come=True)
            raise outcome
        ((row,),) = outcome
        return row

    def drop_taken(self, request: str, outcome: database.WriteOutcome) -> None:
        """Drop the row of a hold whose caller was cancelled. It would count until it expires."""
        self._drop_later(request, may_come=isinstance(outcome, database.StorageUnreachable))

    def _drop_later(self, request: str, *, may_come: bool = False) -> None:
        """Drop a row soon. With `may_come`, the row may still be inserted, so it is dropped again and again
        until it would have expired."""
        self._lost[request] = _now() + HOLD_S if may_come else 0.0
        self.pending.add("lost holds", self._drop_lost)

    async def _drop_lost(self) -> None:
        now, lost = _now(), dict(self._lost)
        if lost:
            await holds.drop(self.store, lost)
        for request, until in lost.items():
            if until <= now and self._lost.get(request) == until:
                del self._lost[request]

    def _row(self, hold_request: HoldRequest, pool: int, now: int) -> Take:
        terms = hold_request.terms
        return Take(
            request=hold_request.request_id,
            account=hold_request.account,
            key=hold_request.key,
            worker=self._worker,
            pool=pool,
            allowance=terms.allowance,
            amount=hold_request.amount,
            streams=terms.streams,
            key_streams=terms.key.streams,
            now=now,
            expires=now + HOLD_S * _SECOND_US,
        )

    async def _renew_all(self) -> None:
        while True:
            if await self._renew():
                return
            await asyncio.sleep(_RENEWAL_RETRY_S)

    async def _renew(self) -> bool:
        """Renew the holds of running requests, also those that have expired. Return False if that failed."""
        if self._lost:
            self.pending.add("lost holds", self._drop_lost)
        if not self._live:
            return True
        try:
            async with in_time(_now() + _RENEWAL_LIMIT_S):
                now = await self.store.now()
                expires, long_ago = now + HOLD_S * _SECOND_US, now - _EXPIRED_LONG_S * _SECOND_US
                await holds.renew(self.store, self._worker, self._live, expires=expires, long_ago=long_ago)
        except database.StorageFailed as error:
            _log.warning("hold.renew.failed", live=len(self._live), reason=str(error))
            return False
        return True


class _Taking(UnitWrite):
    def __init__(self, holds: StoredHolds, take: Take) -> None:
        super().__init__(take)
        self._holds = holds
        self._request = take.request

    def answer(self, content: database.Content, outcome: database.WriteOutcome) -> None:
        self._holds.deadlines.count_answer()
        if self.outcome.done():
            self._holds.drop_taken(self._request, outcome)
        else:
            super().answer(content, outcome)


def _now() -> float:
    return asyncio.get_running_loop().time()
