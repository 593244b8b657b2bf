"""PostgreSQL itself is killed: what a take left to its log may be lost, and no settlement is."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import asyncpg
import msgspec
import pytest

from proxy.feature_list import open_store
from proxy.features.admin.verify import verify
from proxy.ledger import Ledger, open_ledger
from proxy.storage.holds import POSTGRES_TAKE, Take, take_values
from proxy.storage.postgres_calls import carry_out
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import StorageFailed
from proxy.telemetry.metrics import Metrics
from tests.databases import Postgres, postgres
from tests.proxy.ledger.asking import (
    ANCHOR,
    Held,
    heard,
    held,
    holding,
    is_at_rest,
    made_up,
    moved,
    open_accounts,
    stands,
    terms,
    wanted,
)
from tests.waiting import soon

pytestmark = pytest.mark.slow

_SOON = 4_000_000_000_000_000
_ACCOUNTS = ("acc_ada", "acc_bob")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    # What nothing waits for is then written by a later commit alone, so a kill surely loses it.
    with postgres("-c", "fsync=off", "-c", "wal_writer_delay=10s", "-c", "autovacuum=off") as server:
        yield server


@pytest.fixture
def url(server: Postgres) -> str:
    return server.url(search_path=server.new_schema())


@asynccontextmanager
async def _gateways(url: str, folder: Path) -> AsyncIterator[list[Ledger]]:
    async with open_store(url, folder) as store:
        await open_accounts(store, dict.fromkeys(_ACCOUNTS, ANCHOR))
        async with open_ledger(store, Metrics()) as first, open_ledger(store, Metrics()) as last:
            yield [first, last]


def _has_grown(settled: dict[str, float], number: int) -> bool:
    return len(settled) >= number


async def _restart(server: Postgres) -> None:
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)


async def test_a_request_whose_hold_was_lost_is_settled_and_billed(
    server: Postgres, url: str, tmp_path: Path
) -> None:
    async with _gateways(url, tmp_path) as (ledger, _):
        async with holding(ledger, wanted("req_1")) as first:
            heard(first, 5.0)
            await first.settle("finished")
        lost = Held(await ledger.hold(wanted("req_2")))
        assert await held(ledger.store) == ["req_2"]
        await _restart(server)
        assert await held(ledger.store) == [], "the take has waited for the disk"
        assert await moved(ledger.store, "req_1") == [("spend", False, -5.0)]
        heard(lost, 7.0)
        await lost.settle("finished")
        assert await moved(ledger.store, "req_2") == [("spend", False, -7.0)]
        assert (await stands(ledger, wanted())).allowance == 88.0
        assert await is_at_rest(ledger)


async def test_a_take_is_on_disk_once_anything_after_it_is(
    server: Postgres, url: str, tmp_path: Path
) -> None:
    """So the hold of a job, which is stored after its take, is never without what came before it."""
    async with _gateways(url, tmp_path) as (ledger, _):
        await ledger.hold(wanted("req_1"))
        async with holding(ledger, wanted("req_2", account="acc_bob")) as other:
            heard(other, 1.0)
            await other.settle("finished")
        await _restart(server)
        assert await held(ledger.store) == ["req_1"]


async def test_a_batch_waits_for_the_disk_if_one_of_its_holds_has_no_expiry(
    server: Postgres, url: str, tmp_path: Path
) -> None:
    """The last batch waits for nothing, and is lost."""
    async with _gateways(url, tmp_path) as (ledger, _):
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            for number, last in enumerate((LAST_MOMENT, _SOON)):
                _, values = take_values([_taking(f"req_{number}a", _SOON), _taking(f"req_{number}b", last)])
                await carry_out(pool, [(POSTGRES_TAKE, values)])
        assert len(await held(ledger.store)) == 4
        await _restart(server)
        assert await held(ledger.store) == ["req_0a", "req_0b"]


def _taking(request: str, expires: int) -> Take:
    place = {"account": "acc_ada", "key": "k", "worker": "w", "pool": 0, "allowance": None, "amount": 1}
    row = {**place, "request": request, "streams": None, "key_streams": None, "now": 1, "expires": expires}
    return msgspec.convert(row, Take)


async def test_no_settlement_is_lost_or_doubled_by_kills_of_the_database(
    server: Postgres, url: str, tmp_path: Path
) -> None:
    drawn, settled, asked = random.Random(11), dict[str, float](), 0

    async def speak(ledger: Ledger, number: int) -> None:
        request, seconds = f"req_{number}", float(drawn.randint(1, 9))
        account = drawn.choice(_ACCOUNTS)
        hold = Held(await ledger.hold(wanted(request, under=terms(None), account=account)))
        heard(hold, seconds)
        try:
            await hold.settle("finished")
            settled[request] = seconds
        finally:
            await hold.abandon()

    async def client(ledger: Ledger) -> None:
        nonlocal asked
        while not has_ended.is_set():
            asked += 1
            with suppress(StorageFailed):
                await speak(ledger, asked)
            await asyncio.sleep(0)

    has_ended = asyncio.Event()
    async with _gateways(url, tmp_path) as ledgers:
        clients = [asyncio.create_task(client(ledger)) for ledger in ledgers for _ in range(4)]
        for _ in range(2):
            await soon(partial(_has_grown, settled, len(settled) + 40))
            await _restart(server)
        has_ended.set()
        await asyncio.gather(*clients)
        for ledger in ledgers:
            await made_up(ledger)
        store = ledgers[0].store
        rows = await store.read("SELECT request, amount FROM entries WHERE kind = 'spend'")
        spent = {row["request"]: -row["amount"] / 1e6 for row in rows}
        assert len(rows) == len(spent), "one is billed twice"
        assert {request: spent.get(request) for request in settled} == settled
        assert (await verify(store)).contradictions == []
