"""Holds of the one worker that SQLite allows: in memory, since a killed process charges nothing.

A request costs one durable commit that way, its settlement. The balances here follow that commit.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Coroutine, Sequence

from policies.admission import Live, Refusal, admit
from policies.cycles import Cycle, cycle_at
from policies.plans import Terms
from policies.quota import CreditStanding
from proxy.ledger.holds import HeldCredits, HoldRefused, HoldRequest, Payer, Position
from proxy.ledger.pending_writes import PendingWrites
from proxy.storage import entries
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.store import Statement, Store
from proxy.telemetry import UNWATCHED, Watch

_IDLE_KEPT = 10_000


class _Account:
    """One account's pools as the database has them, and its requests under way."""

    def __init__(self) -> None:
        self.pools: dict[int, int] | None = None
        self.live: dict[str, tuple[str, HeldCredits]] = {}
        self.writing = 0
        self.reading = asyncio.Lock()
        self._cycle = Cycle(0, 0)
        self._anchor = 0

    @property
    def is_idle(self) -> bool:
        return not self.live and not self.writing and not self.reading.locked()

    def cycle(self, anchor: int, now: int) -> Cycle:
        if anchor != self._anchor or not self._cycle.start <= now < self._cycle.end:
            self._anchor, self._cycle = anchor, cycle_at(anchor, now)
        return self._cycle

    def position(self, key: str, terms: Terms, cycle: Cycle) -> Position:
        pools = self.pools or {}
        held = [hold for _, hold in self.live.values()]
        allowance = terms.allowance
        if allowance is not None:
            allowance += pools.get(cycle.start, 0)
            allowance -= sum(hold.split.allowance for hold in held if hold.cycle.start == cycle.start)
        granted = pools.get(GRANTED, 0) - sum(hold.split.granted for hold in held)
        of_key = sum(1 for owner, _ in self.live.values() if owner == key)
        return Position(CreditStanding(allowance, granted), Live(len(held), of_key), cycle)

    def apply(self, moved: Sequence[Entry]) -> None:
        if self.pools is not None:
            for entry in moved:
                self.pools[entry.pool] = self.pools.get(entry.pool, 0) + entry.amount


class MemoryHolds:
    def __init__(self, store: Store, watch: Watch = UNWATCHED) -> None:
        self.store = store
        self.arrears = PendingWrites(watch)
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._writing: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        live = sum(len(account.live) for account in self._accounts.values())
        return f"<MemoryHolds {live} live, {len(self._accounts)} accounts>"

    async def take(self, wanted: HoldRequest) -> HeldCredits:
        now = await self.store.now()
        account = await self._account(wanted.account)
        # From here on without a wait: nobody else's hold comes between the look and the taking.
        position = account.position(wanted.key, wanted.terms, account.cycle(wanted.anchor, now))
        split = admit(wanted.amount, wanted.terms, position.live, position.standing)
        if isinstance(split, Refusal):
            raise HoldRefused(split, position.cycle)
        held = HeldCredits(split, position.cycle, now)
        account.live[wanted.request] = (wanted.key, held)
        return held

    async def settle(self, wanted: HoldRequest, moved: Sequence[Entry], beside: Sequence[Statement]) -> None:
        await self._carry_out(self._settle(wanted, moved, beside))

    def drop(self, request: str, account: str) -> None:
        if account in self._accounts:
            self._accounts[account].live.pop(request, None)

    async def move(self, moved: Sequence[Entry], beside: Sequence[Statement] = ()) -> None:
        await self._carry_out(self._move(moved, beside))

    async def position(self, payer: Payer) -> Position:
        now = await self.store.now()
        account = await self._account(payer.account)
        return account.position(payer.key, payer.terms, account.cycle(payer.anchor, now))

    async def close(self) -> None:
        await self.arrears.close()
        if self._writing:
            await asyncio.wait(self._writing)

    async def _carry_out(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._writing.add(task)
        task.add_done_callback(self._written)
        # The write is carried out whoever waits for it, so what follows from it must be too.
        await asyncio.shield(task)

    async def _settle(self, wanted: HoldRequest, moved: Sequence[Entry], beside: Sequence[Statement]) -> None:
        account = self._accounts.setdefault(wanted.account, _Account())
        account.writing += 1
        try:
            await self.store.write(*_statements(moved), *beside)
        finally:
            account.writing -= 1
        account.apply(moved)
        account.live.pop(wanted.request, None)

    async def _move(self, moved: Sequence[Entry], beside: Sequence[Statement]) -> None:
        account = self._accounts.setdefault(moved[0].account, _Account())
        # Not while the pools are being read: nobody could tell whether they had this in them.
        async with account.reading:
            await self.store.write(*_statements(moved), *beside)
            account.apply(moved)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writing.discard(task)
        # Looked at, so that a failure whose caller has left is not reported as lost.
        if not task.cancelled():
            task.exception()

    async def _account(self, id_: str) -> _Account:
        was_read = False
        while (account := self._accounts.setdefault(id_, _Account())).pools is None:
            was_read = True
            async with account.reading:
                if account.pools is None:
                    account.pools = await entries.pools(self.store, id_)
        # Only now: others may have come while it was read, and its caller is about to take a hold of it.
        self._accounts.move_to_end(id_)
        if was_read:
            self._forget_idle()
        return account

    def _forget_idle(self) -> None:
        """The least recently used ones go, but never one whose requests or readings are under way."""
        if len(self._accounts) <= _IDLE_KEPT:
            return
        for id_, account in list(self._accounts.items())[: len(self._accounts) - _IDLE_KEPT]:
            if account.is_idle:
                del self._accounts[id_]


def _statements(moved: Sequence[Entry]) -> list[Statement]:
    return [statement for entry in moved for statement in entries.added(entry)]
