"""Old usage goes, in batches; the books stay, and agree."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import pytest

from proxy.features.admin.verify import verify
from proxy.storage import accounts, costs, entries, retention, usage
from proxy.storage.costs import Cost
from proxy.storage.entries import Entry
from proxy.storage.store import Statement, Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger.lossy import LossyStore
from tests.proxy.storage.test_usage import ROW

_DAY = 86_400_000_000
_COUNT = "SELECT count(*) AS n FROM costs"
_RECEIPT = "INSERT INTO receipts (request, account, facts) VALUES (:request, :account, '{}')"


async def used(store: Store, number: int, started: int) -> list[Statement]:
    """A request with its cost, its entry and its balance."""
    id_ = f"req_{number}"
    row = msgspec.structs.replace(ROW, id=id_, started=started, credits=24, price_micro=24, price_per="job")
    cost = Cost(
        request=id_,
        attempt=1,
        account=ROW.account,
        at=started,
        engine="tone",
        model="standard",
        characters=1,
        audio_ms=1,
        units=None,
        micro_usd=1,
    )
    entry = Entry(
        id=f"{id_}:granted", account=ROW.account, pool=0, amount=-24, kind="spend", at=started, request=id_
    )
    receipt = Statement(_RECEIPT, {"request": id_, "account": ROW.account})
    row_and_cost = [usage.insert_statement(row), costs.insert_statement(cost)]
    return [*row_and_cost, receipt, *entries.insert_statements(entry)]


@contextmanager
def keeping(store: Store, days: int, every_s: float = retention.EVERY_S) -> Iterator[None]:
    task = asyncio.create_task(retention.delete_old_usage(store, lambda: days, Metrics(), every_s))
    try:
        yield
    finally:
        task.cancel()


async def become(store: Store, left: int) -> None:
    async with asyncio.timeout(20):
        while True:
            rows, (row,) = await usage.list_newest(store), await store.read(_COUNT)
            if len(rows) <= left and row["n"] <= left:
                return
            await asyncio.sleep(0.01)


async def test_usage_that_is_too_old_goes_in_batches_and_the_books_stay(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_REQUESTS", 3)
    now = await store.now()
    statements = [
        statement
        for number in range(10)
        for statement in await used(store, number, now - (8 if number < 8 else 6) * _DAY)
    ]
    await store.write(*statements)
    before = await verify(store)
    assert (before.is_clean, before.requests, before.entries) == (True, 10, 10)
    with keeping(store, 7):
        await become(store, 2)
    after = await verify(store)
    assert (after.is_clean, after.requests, after.entries) == (True, 2, 10)
    assert {row.id for row in await usage.list_newest(store)} == {"req_8", "req_9"}
    left = await store.read("SELECT request FROM receipts")
    assert {row["request"] for row in left} == {"req_8", "req_9"}


async def test_without_a_number_of_days_everything_stays(store: Store) -> None:
    await store.write(*await used(store, 1, 0))
    asked = asyncio.Event()

    def days() -> int:
        asked.set()
        return 0

    task = asyncio.create_task(retention.delete_old_usage(store, days, Metrics()))
    await asked.wait()
    await accounts.create(store, name="ada", plan="free")  # behind any delete that there might be
    task.cancel()
    assert len(await usage.list_newest(store)) == 1


async def test_a_database_that_is_away_is_asked_again(store: Store) -> None:
    await store.write(*await used(store, 1, 0))
    away = LossyStore(store)
    away.fates = ["never sent"]
    with keeping(away, 7, every_s=0.01):
        await become(store, 0)
    assert away.fates == []
