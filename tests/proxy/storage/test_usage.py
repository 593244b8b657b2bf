"""Usage rows: written once, listed by account and period."""

import asyncio

import msgspec
import pytest

from proxy.storage import usage
from proxy.storage.rows import NEWEST
from proxy.storage.store import AlreadyExists, StorageFailed, Store
from proxy.storage.usage import Period, UsageRow

ROW = UsageRow(
    id="req_1",
    account="acc_1",
    key="key_1",
    started=1_000,
    engine="espeak",
    model="standard",
    voice="alloy",
    language="pt-BR",
    characters=5,
    samples=24_000,
    sample_rate_hz=24_000,
    format="mp3",
    outcome="finished",
    first_byte_ms=12,
)


async def test_a_recorded_row_comes_back_field_by_field(store: Store) -> None:
    failed = msgspec.structs.replace(
        ROW, id="req_2", started=2_000, outcome="failed", first_byte_ms=None, error="engine_timeout"
    )
    await store.write(usage.insert_statement(ROW))
    await store.write(usage.insert_statement(failed))
    assert await usage.list_newest(store) == [failed, ROW]


async def test_a_request_is_recorded_once_however_often_it_is_told(store: Store) -> None:
    retold = msgspec.structs.replace(ROW, samples=1)
    told = await asyncio.gather(
        *(store.write(usage.insert_statement(row)) for row in (ROW, *[retold] * 9)), return_exceptions=True
    )
    assert sum(isinstance(answer, AlreadyExists) for answer in told) == 9
    assert await usage.list_newest(store) == [retold if isinstance(told[0], AlreadyExists) else ROW]


async def test_usage_is_listed_by_account_and_period_newest_first(store: Store) -> None:
    rows = [
        msgspec.structs.replace(ROW, id=f"req_{number}", account=f"acc_{number % 2}", started=number * 10)
        for number in range(10)
    ]
    await asyncio.gather(*(store.write(usage.insert_statement(row)) for row in rows))
    assert await usage.list_newest(store, account="acc_1") == rows[9::-2]
    assert await usage.list_newest(store, since=20, until=50) == rows[4:1:-1]
    assert await usage.list_newest(store, account="acc_0", since=20, until=80, limit=2) == [rows[6], rows[4]]


async def test_an_outcome_nobody_knows_is_refused(store: Store) -> None:
    unknown = msgspec.structs.replace(ROW, outcome="maybe")
    with pytest.raises(StorageFailed):
        await store.write(usage.insert_statement(unknown))
    assert await usage.list_newest(store) == []


async def test_pages_of_usage_stay_what_they_are_while_new_rows_arrive(store: Store) -> None:
    # Two of each moment, so that a page may end between them.
    rows = [msgspec.structs.replace(ROW, id=f"req_{n:02}", started=n // 2) for n in range(20)]
    await store.write(*map(usage.insert_statement, rows))
    seen: list[UsageRow] = []
    place = NEWEST
    while page := await usage.list_page(store, Period(), place, 3):
        seen += page
        assert len(seen) <= len(rows), "a page began again where it was"
        await store.write(
            usage.insert_statement(msgspec.structs.replace(ROW, id=f"req_n{len(seen)}", started=99))
        )
        found = await usage.find_place(store, page[-1].id, None)
        assert found is not None
        place = found
    assert seen == rows[::-1]


async def test_the_place_of_a_row_is_its_accounts_alone(store: Store) -> None:
    await store.write(usage.insert_statement(ROW))
    assert await usage.find_place(store, ROW.id, ROW.account) == (ROW.started, ROW.id)
    assert await usage.find_place(store, ROW.id, "acc_2") is None


async def test_the_oldest_rows_are_deleted_so_many_at_a_time(store: Store) -> None:
    rows = [msgspec.structs.replace(ROW, id=f"req_{n}", started=n) for n in range(9)]
    await store.write(*map(usage.insert_statement, rows))
    assert [await usage.delete_oldest(store, 5, 3) for _ in range(3)] == [(3, 0), (2, 0), (0, 0)]
    assert await usage.list_newest(store) == rows[:4:-1]
