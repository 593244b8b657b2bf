"""Holds in memory, for the one worker that SQLite allows. If the process is killed, nothing is charged.

So a request costs one durable commit, that of its settlement. The balances here change after that commit.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from policies.admission import CreditBalance, Refusal, RunningRequests, admit
from policies.cycles import Cycle, cycle_at
from policies.price import MICRO
from proxy.ledger.holds import AccountState, HeldCredits, HoldRequest, Payer
from proxy.ledger.pending_writes import PendingWrites, WriteDeadlines
from proxy.storage import durable_holds, entries
from proxy.storage.batch_writer import UnitWrite
from proxy.storage.durable_holds import JOB_KEY
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.settlements import End
from proxy.storage.store import Content, Statement, Store, WriteOutcome
from proxy.telemetry.metrics import Metrics

_MOST_IDLE_ACCOUNTS = 10_000
"""More accounts than these stay in memory only while they have running requests."""


class _Account:
    """One account's pools as the database has them, None before they are read, and its running requests.

    `live` has the key and the hold of each running request, by its id. `unwritten` counts the settlements and
    movements that are not written yet. While there are any, the account stays in memory: its pools must not
    be read while it is unknown whether a movement is in them.
    """

    def __init__(self) -> None:
        self.pools: dict[int, int] | None = None
        self.live: dict[str, tuple[str, HeldCredits]] = {}
        self.unwritten = 0
        self.read_lock = asyncio.Lock()
        self._cycle = Cycle(0, 0)
        self._anchor = 0

    @property
    def is_idle(self) -> bool:
        return not self.live and not self.unwritten and not self.read_lock.locked()

    def state_at(self, payer: Payer, now: int) -> AccountState:
        """Return the credits less the holds, and the running requests. The pools must have been read."""
        anchor, key, terms = payer.anchor, payer.key, payer.terms
        if anchor != self._anchor or not self._cycle.start <= now < self._cycle.end:
            self._anchor, self._cycle = anchor, cycle_at(anchor, now)
        pools, cycle = self.pools or {}, self._cycle
        allowance, granted, of_key, jobs = pools.get(cycle.start, 0), pools.get(GRANTED, 0), 0, 0
        # One pass: an account may have hundreds of running requests, and each new one comes here.
        for owner, hold in self.live.values():
            granted -= hold.split.granted
            if hold.cycle.start == cycle.start:
                allowance -= hold.split.allowance
            if owner == JOB_KEY:
                jobs += 1
            elif owner == key:
                of_key += 1
        left = None if terms.allowance is None else terms.allowance + allowance
        return AccountState(
            CreditBalance(left, granted), RunningRequests(len(self.live) - jobs, of_key), cycle
        )

    def add_entries(self, new_entries: Sequence[Entry]) -> None:
        if self.pools is not None:
            for entry in new_entries:
                self.pools[entry.pool] = self.pools.get(entry.pool, 0) + entry.amount


class MemoryHolds:
    def __init__(self, store: Store, metrics: Metrics) -> None:
        self.store = store
        self.pending = PendingWrites(metrics)
        self._credits_metric = metrics.credits
        self.deadlines = WriteDeadlines()
        self._accounts: OrderedDict[str, _Account] = OrderedDict()

    def __repr__(self) -> str:
        live = sum(len(account.live) for account in self._accounts.values())
        return f"<MemoryHolds {live} live, {len(self._accounts)} accounts>"

    async def take_hold(self, hold_request: HoldRequest) -> HeldCredits | tuple[Refusal, Cycle]:
        now = await self.store.now()
        account = self._accounts.get(hold_request.account)
        if account is None or account.pools is None:
            account = await self._account(hold_request.account)
        else:
            self._accounts.move_to_end(hold_request.account)
        # Nothing is awaited from here on, so that no other hold comes between the check and the hold.
        request = hold_request if hold_request.is_stream else hold_request.of_job()
        state = account.state_at(request, now)
        split = admit(request.amount, request.terms, state.live, state.credits)
        if isinstance(split, Refusal):
            return split, state.cycle
        held = HeldCredits(split, state.cycle, now)
        account.live[hold_request.request_id] = (request.key, held)
        return held

    def mark_durable(self, request: str) -> None:
        del request  # it stays in memory, and is read again after a restart

    def begin_settlement(self, hold_request: HoldRequest) -> None:
        account = self._accounts.get(hold_request.account)
        if account is None:
            account = self._accounts[hold_request.account] = _Account()
        account.unwritten += 1

    def end_settlement(self, hold_request: HoldRequest, end: End | None) -> None:
        account = self._accounts[hold_request.account]
        account.unwritten -= 1
        account.live.pop(hold_request.request_id, None)
        if end is not None and end.entries:
            account.add_entries(end.entries)
            self._credits_metric.counts[(end.usage.kind,)] += end.usage.credits / MICRO

    def drop(self, request: str, account: str) -> None:
        if account in self._accounts:
            self._accounts[account].live.pop(request, None)

    async def release(self, request: str, account: str) -> None:
        self.drop(request, account)

    async def write_entries(
        self,
        new_entries: Sequence[Entry],
        extra_statements: Sequence[Statement] = (),
        first: Sequence[Statement] = (),
    ) -> None:
        # Nothing is awaited between the next two lines, so that the account cannot be forgotten in between.
        account = await self._account(new_entries[0].account)
        account.unwritten += 1
        unit = (*first, *entries.insert_all_statements(new_entries), *extra_statements)
        movement = _Movement(account, new_entries, unit, self.deadlines)
        self.deadlines.unanswered += 1
        self.store.submit(movement)
        outcome = await movement.outcome
        if isinstance(outcome, Exception):
            raise outcome

    async def account_state(self, payer: Payer) -> AccountState:
        now = await self.store.now()
        account = await self._account(payer.account)
        return account.state_at(payer, now)

    async def held_allowance(self, account: str, pool: int) -> int:
        live = (await self._account(account)).live.values()
        return sum(hold.split.allowance for _, hold in live if hold.cycle.start == pool)

    async def close(self) -> None:
        await self.pending.close()
        await self.deadlines.close()

    async def _account(self, id_: str) -> _Account:
        account = self._accounts.get(id_)
        if account is None or account.pools is None:
            account = await self._read(id_)
            self._accounts.move_to_end(id_)
            self._forget_idle()
        else:
            self._accounts.move_to_end(id_)
        # Nothing may be awaited after the check of the pools: the caller is about to take a hold.
        return account

    async def _read(self, id_: str) -> _Account:
        """Read the pools of an account that has none yet. One caller reads, and the others wait."""
        while (account := self._accounts.setdefault(id_, _Account())).pools is None:
            async with account.read_lock:
                if account.pools is None:
                    account.pools, holds = await durable_holds.read_pools_and_holds(self.store, id_)
                    for hold in holds:
                        held = HeldCredits(hold.split, Cycle(hold.pool, hold.pool), hold.pool)
                        account.live.setdefault(hold.request, (JOB_KEY, held))
        return account

    def _forget_idle(self) -> None:
        """Forget the least recently used accounts, except those with running requests, writes or reads."""
        if len(self._accounts) <= _MOST_IDLE_ACCOUNTS:
            return
        for id_, account in list(self._accounts.items())[: len(self._accounts) - _MOST_IDLE_ACCOUNTS]:
            if account.is_idle:
                del self._accounts[id_]


class _Movement(UnitWrite):
    """Entries that belong to no hold. The pools change after the commit, even if the caller is gone."""

    def __init__(
        self,
        account: _Account,
        new_entries: Sequence[Entry],
        unit: tuple[Statement, ...],
        deadlines: WriteDeadlines,
    ) -> None:
        super().__init__(unit)
        self._account = account
        self._entries = new_entries
        self._deadlines = deadlines

    def answer(self, content: Content, outcome: WriteOutcome) -> None:
        self._account.unwritten -= 1
        self._deadlines.count_answer()
        if isinstance(outcome, list):
            self._account.add_entries(self._entries)
        super().answer(content, outcome)
