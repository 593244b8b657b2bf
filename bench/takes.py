"""Holds of one account that many gateways take at once: `python -m bench.takes [GATEWAYS …]`.

Each gateway has connections of its own, takes one hold after another, and settles nothing. The function
that waits for the disk (`_2`, of earlier versions) and the one that does not (`_3`) have turns in each round,
on one PostgreSQL that flushes. Printed are the medians of takes a second and of the time of one, and the
ratio of the rates. A disk that flushes fast shows little: so do the commits a second of the same run.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import statistics
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from proxy.feature_list import open_store
from proxy.storage import holds
from proxy.storage import postgres as postgres_store
from proxy.storage.batch_writer import UnitWrite
from proxy.storage.holds import POSTGRES_TAKE, Take
from proxy.storage.postgres import PostgresStore
from proxy.storage.store import Statement
from tests.databases import postgres

ROUNDS = 3
SECONDS = 4.0
GATEWAYS = (1, 10, 50)
WAYS = {"_2": POSTGRES_TAKE.replace("holds_3(", "holds_2("), "_3": POSTGRES_TAKE}
_OLDER = re.sub(r"\n    IF .* END IF;", "", holds.FUNCTION.replace("holds_3(", "holds_2("))
_IDS = itertools.count()


async def main(url: str, numbers: tuple[int, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(url, Path(folder)) as store:
            await store.write(Statement(_OLDER))
    print(f"{'gateways':>8} {'_2/s':>7} {'ms':>7} {'_3/s':>7} {'ms':>7} {'ratio':>6} {'commits/s':>10}")
    for number in numbers:
        async with AsyncExitStack() as stack:
            stores = [await PostgresStore.open(url, connections=4) for _ in range(number)]
            for store in stores:
                stack.push_async_callback(store.close)
            rates: dict[str, list[float]] = {name: [] for name in (*WAYS, "commits")}
            times: dict[str, list[float]] = {name: [] for name in WAYS}
            for _ in range(ROUNDS):
                for name, sql in WAYS.items():
                    postgres_store.POSTGRES_TAKE = sql  # type: ignore[attr-defined] # its takes look it up there
                    rate, time_s = await _measure(stores)
                    rates[name].append(rate)
                    times[name].append(time_s * 1000)
                rates["commits"].append(await _commits(stores[0]))
        (old, new, commits), (old_ms, new_ms) = (
            [statistics.median(each) for each in found.values()] for found in (rates, times)
        )
        print(
            f"{number:8} {old:7.0f} {old_ms:7.1f} {new:7.0f} {new_ms:7.1f} {new / old:6.2f} {commits:10.0f}"
        )


async def _measure(stores: list[PostgresStore]) -> tuple[float, float]:
    """Return the takes a second, and the median time of one."""
    times: list[float] = []
    until = time.monotonic() + SECONDS

    async def gateway(store: PostgresStore) -> None:
        while (began := time.monotonic()) < until:
            taking = UnitWrite(await _new_take(store))
            store.submit(taking)
            assert isinstance(await taking.outcome, list)
            times.append(time.monotonic() - began)

    await asyncio.gather(*map(gateway, stores))
    await stores[0].write(Statement("DELETE FROM holds"))
    return len(times) / SECONDS, statistics.median(times)


async def _commits(store: PostgresStore) -> float:
    """Return how many small commits a second one connection makes: the disk's own pace."""
    done, until = 0, time.monotonic() + 1.0
    insert = "INSERT INTO balances (account, pool, amount) VALUES (:account, 1, 1)"
    while time.monotonic() < until:
        await store.write(Statement(insert, {"account": f"acc_{next(_IDS)}"}))
        done += 1
    return done


async def _new_take(store: PostgresStore) -> Take:
    now = await store.now()
    return Take(
        request=f"req_{next(_IDS)}",
        account="acc_bench",
        key="key_bench",
        worker="bench",
        pool=0,
        allowance=None,
        amount=1000,
        streams=None,
        key_streams=None,
        now=now,
        expires=now + 1_000_000,
    )


if __name__ == "__main__":
    chosen = tuple(int(each) for each in sys.argv[1:]) or GATEWAYS
    with postgres("-c", "max_connections=300") as server:
        asyncio.run(main(server.url(), chosen))
