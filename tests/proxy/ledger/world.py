"""What the stateful test goes on in: a database of its own, workers, accounts, and their books."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

from hypothesis.stateful import RuleBasedStateMachine

from policies.limits import Caps
from policies.plans import Plan, Prices, Terms
from policies.plans import build_terms as terms_of
from policies.price import MICRO, Price
from proxy.config.addresses import is_postgres
from proxy.feature_list import all_tables, open_store
from proxy.ledger import Ledger
from proxy.ledger.memory_holds import MemoryHolds
from proxy.ledger.stored_holds import StoredHolds
from proxy.storage.postgres import PostgresStore
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger.asking import ANCHOR, Held, open_accounts
from tests.proxy.ledger.books import Books
from tests.proxy.storage.watched import WatchedStore
from tests.waiting import LIMIT_S

T = TypeVar("T")
DAY_S = 86_400


_OTHERS = {
    "slow": Price(7_777_740, "minute"),
    "worded": Price(MICRO // 7, "character"),
    "flat": Price(MICRO, "job"),
}


def _plan(allowance: int | None, streams: int | None, micro: int, per: Any) -> Plan:
    held = None if allowance is None else allowance * MICRO
    prices = Prices(speech=Price(micro, per), models=_OTHERS)
    return Plan(name="pro", allowance=held, streams=streams, prices=prices)


PLANS = (
    _plan(100, 2, 60 * MICRO, "minute"),
    _plan(30, 1, 132_000_060, "minute"),
    _plan(60, 3, MICRO // 3, "character"),
    _plan(0, 4, 60 * MICRO, "minute"),
    _plan(None, None, 60 * MICRO, "minute"),
)
CAPPED = Caps(streams=1)
ACCOUNTS = {"acc_ada": ANCHOR, "acc_bob": ANCHOR + 16 * DAY_S * MICRO}
"""With cycles that turn on different days."""


class Open(NamedTuple):
    """A request under way."""

    account: str
    worker: int
    hold: Held


class World(RuleBasedStateMachine):
    """One database, its workers' keepers of holds, and the accounts; time stands still between the steps."""

    new_url: ClassVar[Callable[[], str]]
    """Of an empty database."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = AsyncExitStack()
        self.store = self.run(self._open(type(self).new_url()))
        self.keepers = [self.new_keeper() for _ in range(2 if self.store.is_shared else 1)]
        self.books = {account: Books(anchor) for account, anchor in ACCOUNTS.items()}
        self.plans = dict.fromkeys(ACCOUNTS, PLANS[0])
        self.keys = {account: [f"{account}_whole", f"{account}_capped"] for account in ACCOUNTS}
        self.revoked = 0
        self.open: dict[str, Open] = {}
        self.requests = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _open(self, url: str) -> WatchedStore:
        folder = self.opened.enter_context(tempfile.TemporaryDirectory())
        if is_postgres(url):
            async with open_store(url, Path(folder)):
                pass  # it makes the tables
            # How soon a busy machine answers is not what is tested.
            store: Store = await PostgresStore.open(url, LIMIT_S, all_tables())
            self.opened.push_async_callback(store.close)
        else:
            store = await self.opened.enter_async_context(open_store(url, Path(folder)))
        await open_accounts(store, ACCOUNTS)
        return WatchedStore(store, ANCHOR)

    def new_keeper(self) -> MemoryHolds | StoredHolds:
        async def make() -> MemoryHolds | StoredHolds:
            if not self.store.is_shared:
                return MemoryHolds(self.store, Metrics())
            keeper = StoredHolds(self.store, Metrics())
            # Only the rule `renew` renews: the books do not know of one by the real clock, after 6 s.
            await keeper._renewing.aclose()
            return keeper

        return self.run(make())

    def teardown(self) -> None:
        for keeper in self.keepers:
            self.run(keeper.close())
        self.run(self.opened.aclose())
        self.runner.close()

    @property
    def now(self) -> int:
        return self.run(self.store.now())

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.store, self.keepers[-1])

    def terms(self, account: str, key: int) -> Terms:
        return terms_of(self.plans[account], caps=CAPPED if key else Caps())
