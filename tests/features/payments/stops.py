"""The life of an account, which may stop at each commit and each call of the provider, and then begins anew.

`python -m tests.features.payments.stops URL DATA POINT KIND SMTP_URL` lives it in a process that kills
itself at a point. `KIND` is `all`, `none` (no webhook arrives), or `cancelled` (only cancelled orders).
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from policies.price import MICRO
from proxy.access.limits import Limits, MemoryWindows
from proxy.config.sections import VaultSection
from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from proxy.features.mail.mails import Mails
from proxy.features.mail.section import MailSection
from proxy.features.payments.provider import CheckoutRequest, FetchedPayment
from proxy.features.payments.records import OrderRecord
from proxy.file_store.vault import Vault
from proxy.ledger import Ledger
from proxy.ledger.memory_holds import MemoryHolds
from proxy.ledger.stored_holds import StoredHolds
from proxy.storage import accounts
from proxy.storage.store import BatchItem, Content, Row, Statement, Store, WriteOutcome
from proxy.telemetry.metrics import Metrics
from tests.databases import lay_tables
from tests.features.mail.receiver import Receiver, receiver
from tests.features.payments.rig import DAY_S, START, Shop, TinyProvider
from tests.proxy.storage.watched import WatchedStore

NEVER = 1_000_000
_CANCELLED = """
SELECT state, url, count(*) AS many FROM orders WHERE cancelled IS NOT NULL GROUP BY state, url ORDER BY state
"""
_FAILED = "SELECT count(*) AS many FROM orders WHERE attention LIKE '%its refund has failed since%'"


class Points:
    """Counts the points that are passed. `strike` is called at the point `at`; a stopped process does nothing
    more, and its commits are lost."""

    def __init__(self, at: int, strike: Callable[[], None]) -> None:
        self.passed = 0
        self.names: list[str] = []
        self.is_dead = False
        self._at = at
        self._strike = strike

    def note(self, name: str) -> None:
        if self.is_dead:
            return
        self.passed += 1
        self.names.append(name)
        if self.passed == self._at:
            self.is_dead = True
            self._strike()

    async def passing(self, name: str) -> None:
        self.note(name)
        if self.is_dead:
            await asyncio.Event().wait()


class StoppingStore(WatchedStore):
    """A real store with a point before and after each commit."""

    def __init__(self, store: Store, points: Points) -> None:
        super().__init__(store, START)
        self._points = points

    async def write(self, *statements: Statement) -> list[list[Row]]:
        await self._points.passing("before a commit")
        rows = await super().write(*statements)
        await self._points.passing("after a commit")
        return rows

    def submit(self, item: BatchItem) -> None:
        self._points.note("before a commit")
        if not self._points.is_dead:
            super().submit(_Item(item, self._points))


class _Item:
    def __init__(self, item: BatchItem, points: Points) -> None:
        self._item = item
        self._points = points

    @property
    def content(self) -> Content:
        return self._item.content

    def answer(self, content: Content, outcome: WriteOutcome) -> None:
        self._points.note("after a commit")
        if not self._points.is_dead:
            self._item.answer(content, outcome)


class _Saved(msgspec.Struct):
    """What outlives a kill outside of our database."""

    seconds: float
    checkouts: dict[str, CheckoutRequest]
    paid: dict[str, FetchedPayment]
    ended: dict[str, int]
    waited: int = 0


class Life:
    """The life of one account. Each of its steps may be done again."""

    def __init__(self, shop: Shop, file: Path | None = None, *, has_webhooks: bool = True) -> None:
        self.shop = shop
        self.account = ""
        self._file = file
        self._has_webhooks = has_webhooks
        # So many payments and changes have been heard of without a webhook, and how many in all lives so far.
        self._heard = self._waited = 0
        shop.provider.save = self.save
        if file is not None and file.exists():
            saved = msgspec.json.decode(file.read_bytes(), type=_Saved)
            shop.clock.seconds = saved.seconds
            shop.provider.checkouts, shop.provider.paid = saved.checkouts, saved.paid
            shop.provider.ended, self._waited = saved.ended, saved.waited

    def save(self) -> None:
        if self._file is not None:
            outside = self.shop.provider
            saved = _Saved(
                *(self.shop.clock.seconds, outside.checkouts, outside.paid, outside.ended, self._waited)
            )
            new = self._file.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(saved))
            new.replace(self._file)

    async def live(self) -> None:
        await self._begin()
        pack = await self._buy("small")
        mini = await self._buy("mini")
        next_mini = await self._buy("mini", "next")
        await self._change(next_mini, refunded=990)
        await self._change(pack, refunded=1000)
        await self._cancel("left")
        await self._pay(await self._cancel("late"))
        await self._at(9 * DAY_S)
        await self._buy("pro")
        await self._at(9 * DAY_S + 3600)
        await self._at(12 * DAY_S)
        await self._change(pack, disputed=1990)
        await self._change(mini, refunded=990)
        await self._change(pack, disputed=0, seller_won_dispute=True)
        # This refund fails.
        await self._change(next_mini, refunded=0)
        await self._at(60 * DAY_S)

    async def _begin(self) -> None:
        clock = self.shop.clock
        found = await accounts.get(clock, "ada")
        self.account = (found or await accounts.create(clock, name="ada", plan="free")).id
        # The leases of a killed worker end.
        await self._at(clock.seconds + 61)

    async def close(self) -> None:
        for worker in self.shop.workers:
            await worker.ledger.holds.close()
            if worker.mails is not None:
                await worker.mails.close()

    async def _buy(self, offer: str, key: str = "") -> OrderRecord:
        order = await self.shop.order(self.account, offer, key or offer)
        await self._pay(order)
        return order

    async def _pay(self, order: OrderRecord) -> None:
        paid = self.shop.provider.paid.values()
        if not any(payment.reference == order.id for payment in paid):
            self.shop.provider.pay(order)
            self.save()
        await self._hook(order)

    async def _cancel(self, key: str) -> OrderRecord:
        order = await self.shop.order(self.account, "small", key)
        if order.state == "open":
            order = await self.shop.cancel(order)
        await self.shop.work()
        self.save()
        return order

    async def _change(self, order: OrderRecord, **others: object) -> None:
        (id_,) = [id_ for id_, each in self.shop.provider.paid.items() if each.reference == order.id]
        if not (others.get("disputed") and self.shop.provider.paid[id_].seller_won_dispute):
            self.shop.provider.change(id_, **others)
            self.save()
        await self._hook(order)

    async def _hook(self, order: OrderRecord) -> None:
        if self._has_webhooks:
            await self.shop.hook(order.id)
            return
        self._heard += 1
        # The next life does not wait again: a day of lives would end orders that are to be cancelled.
        if self._heard > self._waited:
            await self._at(self.shop.clock.seconds + 3700)
            self._waited = self._heard
            self.save()

    async def _at(self, seconds: float) -> None:
        """Let time pass until a moment, unless it is later already."""
        while (clock := self.shop.clock).seconds < seconds:
            clock.seconds = min(seconds, clock.seconds + DAY_S)
            self.save()
            await self.shop.work()
        await self.shop.work()

    async def found(self) -> dict[str, object]:
        """What must be the same, whatever has stopped on the way."""
        shop, ada = self.shop, self.account
        sums: dict[str, int] = {}
        for reference, amount in (await shop.entries(ada)).items():
            kind = reference.partition(":")[0]
            sums[kind] = sums.get(kind, 0) + amount
        rows = await shop.clock.read("SELECT sum(credited) AS credited, count(*) AS many FROM payments")
        acts = await shop.clock.read("SELECT count(*) AS many FROM audit WHERE action = 'payment.booked'")
        waiting = await shop.clock.read("SELECT id FROM mails")
        read = await shop.read(ada)
        return {
            "granted": await shop.granted(ada),
            "sums": sums,
            "credited": int(rows[0]["credited"]) // MICRO,
            "payments": rows[0]["many"],
            "is booked": acts[0]["many"] >= rows[0]["many"],
            "mails that wait": len(waiting),
            "ended": len(shop.provider.ended),
            "cancelled": [dict(row) for row in await shop.clock.read(_CANCELLED)],
            "months": [(month.plan, month.state, month.carried) for month in await shop.months(ada)],
            "failed refunds": [row["many"] for row in await shop.clock.read(_FAILED)],
            "plan": (read.plan, read.paid_until),
            "contradictions": (await verify(shop.clock)).contradictions,
        }


class CancelledLife(Life):
    """Three orders that are cancelled: one is left, one is paid later, and one is paid and refunded."""

    async def live(self) -> None:
        await self._begin()
        await self._cancel("left")
        await self._pay(await self._cancel("late"))
        back = await self._cancel("back")
        await self._pay(back)
        await self._change(back, refunded=2990)
        await self._at(2 * DAY_S)


LIVES: dict[str, type[Life]] = {"all": Life, "none": Life, "cancelled": CancelledLife}


def life_on(
    store: Store,
    points: Points,
    data: Path,
    smtp_url: str,
    provider: TinyProvider | None = None,
    kind: str = "all",
    file: Path | None = None,
) -> Life:
    clock = StoppingStore(store, points)
    new_holds = StoredHolds if store.is_shared else MemoryHolds
    ledgers = [Ledger(clock, new_holds(clock, Metrics())) for _ in range(2 if store.is_shared else 1)]

    def new_mails() -> Mails:
        mails = Mails(
            clock, Vault(clock, VaultSection(), data), Limits(MemoryWindows()), "", Metrics().registry
        )
        mails.section = MailSection(url=smtp_url, sender="Voices <voices@example.org>")
        mails.recipients = recipients
        return mails

    shop = Shop(clock, [ledgers[0], ledgers[-1]], new_mails)
    if provider is not None:
        shop.use(provider)
    shop.provider.at = points.passing
    return LIVES[kind](shop, file, has_webhooks=kind != "none")


async def live_until(
    store: Store, at: int, folder: Path, smtp_url: str, outside: TinyProvider, seconds: float, kind: str
) -> tuple[Life, Points]:
    """Live until a stop, or to the end."""
    before, stopped = asyncio.all_tasks(), asyncio.Event()
    points = Points(at, stopped.set)
    life = life_on(store, points, folder, smtp_url, outside, kind)
    life.shop.clock.seconds = seconds
    living = asyncio.create_task(life.live())
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([living, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not points.is_dead:
        await living
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await asyncio.gather(*(asyncio.all_tasks() - before), return_exceptions=True)
    # The connections of a process end with it.
    for worker in life.shop.workers:
        assert worker.mails is not None
        await worker.mails.close()
    return life, points


async def with_a_stop(url: str, folder: Path, point: int, kind: str = "all") -> tuple[dict[str, Any], Points]:
    """Live with a stop at a point, then to the end. Return what was found, and the points until the stop."""
    lay_tables(folder)
    outside = TinyProvider()
    async with receiver() as served, open_store(url, folder) as store:
        life, points = await live_until(store, point, folder, served.url, outside, 0.0, kind)
        if points.is_dead:
            seconds = life.shop.clock.seconds
            life, _ = await live_until(store, NEVER, folder, served.url, outside, seconds, kind)
        return {**await life.found(), "mails": arrived(served)}, points


def arrived(served: Receiver) -> Counter[str]:
    """The mails by their subjects, without their dates. One that came again is one, by its id."""
    subjects = {mail["Message-ID"]: str(mail["Subject"]) for mail in served.got}
    return Counter(subject.partition(" on ")[0] for subject in subjects.values())


async def recipients(_account: str) -> Sequence[tuple[str, str]]:
    return [("ada@example.net", "en")]


async def main(url: str, data: str, point: str, kind: str, smtp_url: str) -> None:
    points, folder = Points(int(point), lambda: os.kill(os.getpid(), signal.SIGKILL)), Path(data)
    async with open_store(url, folder) as store:
        life = life_on(store, points, folder, smtp_url, kind=kind, file=folder / "outside.json")
        await life.live()
        print(msgspec.json.encode(await life.found()).decode())
        await life.close()
