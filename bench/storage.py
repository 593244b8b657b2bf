"""The store over SQLite and PostgreSQL, side by side: `python -m bench.storage [postgresql://…]`.

Without an address a PostgreSQL is started from the wheel of the tests, on a Unix socket of this machine.
Both take turns in each round; the figures are medians over the rounds, with both databases flushing to disk.

The second table has what one settlement costs this process, by settlements in a commit: as a unit of
statements, which is how any other write goes, and as the rows that the writer makes of many ends.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from proxy.feature_list import open_store
from proxy.storage import accounts, api_key, entries, key_records, usage
from proxy.storage.api_key import ApiKey
from proxy.storage.batch_writer import UnitWrite
from proxy.storage.settlements import End
from proxy.storage.store import Content, Statement, Store
from proxy.storage.usage import UsageRow
from tests.databases import postgres

ROUNDS = 5
SECONDS = 1.0
TASKS = (1, 50)
TOGETHER = (1, 4, 16, 64)
SETTLED = 640
_IDS = itertools.count(time.time_ns() // 1000)

_ROW = UsageRow(
    id="",
    account="acc_bench",
    key="key_bench",
    started=0,
    engine="tone",
    model="standard",
    voice="alloy",
    language="en",
    characters=40,
    samples=72_000,
    sample_rate_hz=24_000,
    format="mp3",
    outcome="finished",
)


async def main(addresses: dict[str, str]) -> None:
    key = api_key.mint()
    found: dict[tuple[str, int], dict[str, list[float]]] = {}
    for _ in range(ROUNDS):
        for name, url in addresses.items():
            with tempfile.TemporaryDirectory() as folder:
                async with open_store(url, Path(folder)) as store:
                    await _measure(store, name, key, found)
    first, second = addresses
    print(f"{'a second':12} {'tasks':>5} {first:>12} {second:>12} {'ratio':>7}")
    for (work, tasks), rates in found.items():
        one, other = (statistics.median(rates[name]) for name in addresses)
        print(f"{work:12} {tasks:5} {one:12.0f} {other:12.0f} {other / one:7.2f}")
    await _compare_settlements(addresses)


async def _measure(
    store: Store, name: str, key: ApiKey, found: dict[tuple[str, int], dict[str, list[float]]]
) -> None:
    if await key_records.find_by_hash(store, key.digest) is None:
        account = await accounts.create(store, name=secrets.token_hex(8), plan="free")
        await key_records.create(store, key, key_records.NewKeyRecord(account=account.id))
    work: dict[str, Callable[[], Awaitable[object]]] = {
        "usage rows": lambda: store.write(_new_row()),
        "key lookups": lambda: key_records.find_by_hash(store, key.digest),
        "clock": store.now,
    }
    for what, do in work.items():
        for tasks in TASKS:
            found.setdefault((what, tasks), {}).setdefault(name, []).append(await _rate(do, tasks))


def _new_row() -> Statement:
    return usage.insert_statement(msgspec.structs.replace(_ROW, id=secrets.token_hex(12)))


async def _compare_settlements(addresses: dict[str, str]) -> None:
    print(f"{'CPU µs each':12} {'in one':>6} {'statements':>11} {'rows':>6} {'ratio':>6}")
    for name, url in addresses.items():
        with tempfile.TemporaryDirectory() as folder:
            async with open_store(url, Path(folder)) as store:
                for together in TOGETHER:
                    pairs = [
                        (await _cpu_us(store, together, _statements), await _cpu_us(store, together, _end))
                        for _ in range(ROUNDS)
                    ]
                    old, new = (statistics.median(column) for column in zip(*pairs, strict=True))
                    print(f"{name:12} {together:6} {old:11.0f} {new:6.0f} {new / old:6.2f}")


async def _cpu_us(store: Store, together: int, content: Callable[[str], Content]) -> float:
    """Measure the CPU of this process for one settlement."""
    commits = max(1, SETTLED // together)
    cpu_s = 0.0
    for _ in range(commits):
        items = [UnitWrite(content(f"req_{next(_IDS):012x}")) for _ in range(together)]
        began = time.process_time()
        for item in items:
            store.submit(item)
        for item in items:
            assert isinstance(await item.outcome, list)
        cpu_s += time.process_time() - began
    return cpu_s / commits / together * 1e6


def _end(id_: str) -> End:
    row = msgspec.structs.replace(_ROW, id=id_, started=time.time_ns() // 1000)
    return End(
        "finished", row, [entries.make_spend_entry(id_, row.account, 1, 1000, at=row.started, actor=row.key)]
    )


def _statements(id_: str) -> tuple[Statement, ...]:
    end = _end(id_)
    return (usage.insert_statement(end.usage), *entries.insert_all_statements(end.entries))


async def _rate(do: Callable[[], Awaitable[object]], tasks: int) -> float:
    done, began = 0, time.monotonic()

    async def work() -> None:
        nonlocal done
        while time.monotonic() - began < SECONDS:
            await do()
            done += 1

    await asyncio.gather(*(work() for _ in range(tasks)))
    return done / (time.monotonic() - began)


@contextmanager
def _postgres_url() -> Iterator[str]:
    if len(sys.argv) > 1:
        yield sys.argv[1]
        return
    with postgres() as server:
        yield server.url()


if __name__ == "__main__":
    with _postgres_url() as address:
        asyncio.run(main({"sqlite": "sqlite", "postgresql": address}))
