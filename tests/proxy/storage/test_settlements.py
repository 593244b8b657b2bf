"""Settlements are written together, on each database: each row once, and each balance by its entries' sum."""

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from proxy.feature_list import open_store
from proxy.features.marks.clip_facts import (
    ClipFacts,
    ClipSpeaker,
    FactsRow,
    FoundClip,
    facts_of_requests,
    find_clip,
    needs_mark_keys,
)
from proxy.storage import costs, entries, usage
from proxy.storage.batch_writer import ITEMS_A_BATCH, UnitWrite
from proxy.storage.costs import Cost
from proxy.storage.entries import GRANTED, Entry
from proxy.storage.rows import encode_json
from proxy.storage.settlements import End
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import AlreadyExists, Statement, StorageFailed, Store, WriteOutcome
from tests.databases import Postgres
from tests.proxy.storage.test_usage import ROW

_POOL = 86_400_000_000
_WAITING = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted"
FACTS = ClipFacts(
    sha256="0" * 64,
    bytes=480,
    format="mp3",
    samples=240,
    sample_rate_hz=24_000,
    speakers=(ClipSpeaker("tone/standard", "Apache-2.0"),),
    language="en",
    consents=("1" * 64,),
    mark="spread",
    mark_key="3f2a91c0",
    manifest="sidecar",
    made=1_700_000_000_000_000,
)


def end(request: str, *amounts: int, account: str = "acc_ada", **changed: Any) -> End:
    """An end that takes these amounts: of the allowance, then of the granted credits. It has one cost."""
    row = msgspec.structs.replace(ROW, id=request, account=account, **changed)
    cost = Cost(
        request=request,
        attempt=1,
        account=account,
        at=row.started,
        engine="tone",
        model="standard",
        characters=5,
        audio_ms=10,
        units=None,
        micro_usd=7,
    )
    spent = [
        entries.make_spend_entry(request, account, pool, amount, at=row.started, actor="key_ada")
        for pool, amount in zip((_POOL, GRANTED), amounts, strict=False)
    ]
    return End("finished", row, spent, [cost])


async def settle(store: Store, *ends: End) -> list[WriteOutcome]:
    """Submit all of them before any of them is written."""
    items = [UnitWrite(each) for each in ends]
    for item in items:
        store.submit(item)
    return [await item.outcome for item in items]


async def test_the_ends_of_many_requests_are_all_there_and_balances_are_their_sums(store: Store) -> None:
    ends = [end(f"req_{number}", 10 * number, number) for number in range(40)]
    ends += [end(f"req_ben_{number}", 1, account="acc_ben") for number in range(3)]
    assert await settle(store, *ends) == [[]] * 43
    assert {row.id: row for row in await usage.list_newest(store)} == {
        each.usage.id: each.usage for each in ends
    }
    assert await entries.read_pools(store, "acc_ada") == {_POOL: -7800, GRANTED: -780}
    assert await entries.read_pools(store, "acc_ben") == {_POOL: -3}
    assert await entries.read_spending(store, "req_7") == list(ends[7].entries)
    assert await costs.sum_costs(store, "acc_ada", 0, is_account=True) == 40 * 7


def with_facts(request: str, account: str = "acc_ada", facts: ClipFacts = FACTS) -> End:
    """An end with the facts of its clip."""
    row = FactsRow(request, account, encode_json(facts))
    return msgspec.structs.replace(end(request, 10, account=account, credits=10), rows=(row,))


async def test_facts_come_with_their_ends_and_each_account_finds_its_own(store: Store) -> None:
    ends = [with_facts("req_1"), end("req_2", 10), with_facts("req_3", "acc_ben")]
    assert await settle(store, *ends) == [[]] * 3
    assert await find_clip(store, "req_1") == FoundClip("req_1", "acc_ada", FACTS)
    assert await find_clip(store, "req_2") is None
    found = await facts_of_requests(store, "acc_ada", ["req_1", "req_2", "req_3"])
    assert found == {"req_1": FACTS}, "each account finds its own"
    assert await store.read("SELECT request FROM receipts ORDER BY request") == [
        {"request": "req_1"},
        {"request": "req_3"},
    ]


@pytest.mark.parametrize(
    ("changed", "needs_keys"),
    [
        ({"mark": "", "mark_key": "", "manifest": "embedded"}, False),
        ({"mark": "", "mark_key": ""}, True),
        ({"manifest": ""}, True),
    ],
)
async def test_clips_that_need_keys_are_known(
    store: Store, changed: dict[str, str], needs_keys: bool
) -> None:
    assert not await needs_mark_keys(store)
    facts = msgspec.structs.replace(FACTS, **changed)
    assert await settle(store, with_facts("req_1", facts=facts)) == [[]]
    assert await needs_mark_keys(store) == needs_keys


async def test_an_end_that_is_refused_leaves_no_facts(store: Store) -> None:
    assert await settle(store, end("req_1", 10)) == [[]]
    (outcome,) = await settle(store, with_facts("req_1"))
    assert isinstance(outcome, AlreadyExists)
    assert await find_clip(store, "req_1") is None


async def test_the_end_of_a_free_request_moves_nothing(store: Store) -> None:
    free = End("failed", msgspec.structs.replace(ROW, id="req_1", outcome="failed", units=1.5))
    assert await settle(store, free) == [[]]
    assert await usage.list_newest(store) == [free.usage]
    assert await store.read("SELECT * FROM balances") == []


async def test_a_request_that_was_settled_before_fails_alone(store: Store) -> None:
    await settle(store, end("req_3", 5))
    outcomes = await settle(store, *(end(f"req_{number}", 5) for number in range(9)))
    assert [number for number, outcome in enumerate(outcomes) if outcome != []] == [3]
    assert isinstance(outcomes[3], AlreadyExists)
    assert await entries.read_pools(store, "acc_ada") == {_POOL: -45}
    assert len(await usage.list_newest(store)) == 9


async def test_one_request_with_two_ends_is_charged_once(store: Store) -> None:
    outcomes = await settle(store, end("req_1", 5), end("req_1", 5), end("req_2", 5))
    assert [type(outcome) for outcome in outcomes] == [list, AlreadyExists, list]
    assert await entries.read_pools(store, "acc_ada") == {_POOL: -10}


@pytest.mark.parametrize("bad", [{"voice": "a NUL \0"}, {"voice": "\ud800"}, {"samples": 2**63}])
async def test_a_value_that_no_database_can_hold_fails_alone(store: Store, bad: dict[str, Any]) -> None:
    outcomes = await settle(store, end("req_1", 5), end("req_2", 5, **bad), end("req_3", 5))
    assert [type(outcome) for outcome in outcomes] == [list, StorageFailed, list]
    assert await entries.read_pools(store, "acc_ada") == {_POOL: -10}
    assert {row.id for row in await usage.list_newest(store)} == {"req_1", "req_3"}


async def test_a_close_writes_every_end_that_was_submitted_and_refuses_later_ones(store: Store) -> None:
    ends = [end(f"req_{number}", 1) for number in range(2 * ITEMS_A_BATCH + 1)]
    settling = asyncio.create_task(settle(store, *ends))
    await asyncio.sleep(0)
    await store.close()
    assert await settling == [[]] * len(ends)
    assert [type(outcome) for outcome in await settle(store, end("req_late", 1))] == [StorageFailed]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_ends_and_other_units_share_one_commit(store: Store) -> None:
    assert isinstance(store, SqliteStore)
    before = store.commits
    grant = Entry(id="ent_1", account="acc_ada", pool=GRANTED, amount=50, kind="grant", at=1)
    _, rows = await asyncio.gather(
        settle(store, end("req_1", 5, 5), end("req_2", 5, 5)),
        store.write(*entries.insert_statements(grant), Statement("SELECT count(*) AS n FROM entries")),
    )
    assert store.commits == before + 1
    assert await entries.read_pools(store, "acc_ada") == {_POOL: -10, GRANTED: 40}
    assert rows[-1] == [{"n": 5}]


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_a_full_database_keeps_no_half_of_an_end(store: Store) -> None:
    assert isinstance(store, SqliteStore)
    await settle(store, end("req_before", 1))
    (pages,) = store._commit_thread.connection.execute("PRAGMA page_count").fetchone()
    store._commit_thread.connection.execute(f"PRAGMA max_page_count = {pages}")
    ends = [end(f"req_{number}", 1, voice="v" * 10_000) for number in range(5)]
    assert {type(outcome) for outcome in await settle(store, *ends)} == {StorageFailed}
    assert await entries.read_pools(store, "acc_ada") == {_POOL: -1}
    store._commit_thread.connection.execute("PRAGMA max_page_count = 1000000")
    assert await settle(store, *ends) == [[]] * 5
    assert await entries.read_pools(store, "acc_ada") == {_POOL: -6}


class _Breaks(UnitWrite):
    """An item whose answer breaks."""

    def answer(self, content: object, outcome: WriteOutcome) -> None:
        raise ZeroDivisionError("a fault of ours")


async def test_a_fault_in_one_answer_keeps_no_other_waiting(store: Store) -> None:
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
    store.submit(_Breaks(end("req_1", 1)))
    assert await settle(store, end("req_2", 1)) == [[]]
    assert len(await usage.list_newest(store)) == 2
    assert len(faults) == 1


async def test_two_workers_that_settle_for_the_same_accounts_never_wait_for_each_other(
    shared_postgres: Postgres, tmp_path: Path
) -> None:
    # The server would look for a deadlock far too late for this test.
    url = shared_postgres.url(search_path=shared_postgres.new_schema(), deadlock_timeout="60s")
    both = ("acc_ada", "acc_ben", "acc_eve")
    middle = "SELECT amount FROM balances WHERE account = 'acc_ben' AND pool <> 0 FOR UPDATE"
    async with open_store(url, tmp_path) as first, open_store(url, tmp_path) as second:
        await settle(first, *(end(f"req_{account}", 1, account=account) for account in both))
        held = await asyncpg.connect(url)
        async with asyncio.timeout(20.0):
            async with held.transaction():
                await held.fetch(middle)
                settling = []
                for waiting, (store, order) in enumerate(((first, both), (second, both[::-1])), 1):
                    ends = [end(f"req_{waiting}_{account}", 1, account=account) for account in order]
                    settling.append(asyncio.create_task(settle(store, *ends)))
                    while await held.fetchval(_WAITING) < waiting:
                        pass
            assert await asyncio.gather(*settling) == [[[]] * 3] * 2
            await held.close()
