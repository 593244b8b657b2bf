"""Usage rows: written once, listed by account and period."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from proxy.storage import usage
from proxy.storage.store import StorageFailed, Store
from proxy.storage.usage import UsageRow

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


async def test_what_was_recorded_comes_back_field_by_field(store: Store) -> None:
    failed = msgspec.structs.replace(
        ROW, id="req_2", started=2_000, outcome="failed", first_byte_ms=None, error="engine_timeout"
    )
    assert await usage.record(store, ROW)
    assert await usage.record(store, failed)
    assert await usage.list_(store) == [failed, ROW]


async def test_a_request_is_recorded_once_however_often_it_is_told(store: Store) -> None:
    retold = msgspec.structs.replace(ROW, samples=1)
    told = await asyncio.gather(usage.record(store, ROW), *(usage.record(store, retold) for _ in range(9)))
    assert sorted(told) == [False] * 9 + [True]
    assert await usage.list_(store) == [ROW if told[0] else retold]


async def test_usage_is_listed_by_account_and_period_newest_first(store: Store) -> None:
    rows = [
        msgspec.structs.replace(ROW, id=f"req_{number}", account=f"acc_{number % 2}", started=number * 10)
        for number in range(10)
    ]
    await asyncio.gather(*(usage.record(store, row) for row in rows))
    assert await usage.list_(store, account="acc_1") == rows[9::-2]
    assert await usage.list_(store, since=20, until=50) == rows[4:1:-1]
    assert await usage.list_(store, account="acc_0", since=20, until=80, limit=2) == [rows[6], rows[4]]


async def test_an_outcome_nobody_knows_is_refused(store: Store) -> None:
    unknown = msgspec.structs.replace(ROW, outcome="maybe")
    with pytest.raises(StorageFailed):
        await usage.record(store, unknown)
    assert await usage.list_(store) == []
