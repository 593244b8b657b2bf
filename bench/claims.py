"""What a claim costs beside very many wishes of one account: `python -m bench.claims`.

Each claim lists what there is to do, takes the lease of the first row, and ends it, on SQLite and on a real
PostgreSQL. One account has 10,000 rows that nobody works on yet, another has one.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from policies.wishes import Wish
from proxy.features.all import open_store
from proxy.storage.rows import insert, insert_sql
from proxy.storage.store import Statement, Store
from proxy.storage.wish_tables import WishTable
from tests.databases import postgres

ROWS = 10_000
CLAIMS = 300
LISTED = 8
_TABLE = """
CREATE TABLE claims (id TEXT PRIMARY KEY, account TEXT NOT NULL, state TEXT NOT NULL, due BIGINT NOT NULL,
    lease BIGINT NOT NULL, fence BIGINT NOT NULL, tries BIGINT NOT NULL, error TEXT NOT NULL)
"""
_INDEX = "CREATE INDEX claims_open ON claims (account, due, id) WHERE state = 'open'"


class Claim(Wish, frozen=True, kw_only=True):
    id: str
    account: str
    state: str = "open"


CLAIMS_TABLE = WishTable("claims", Claim, "state = 'open'", of_account=2)
_INSERT = insert_sql("claims", Claim)


async def fill(store: Store) -> None:
    await store.write(Statement(_TABLE), Statement(_INDEX))
    rows = [Claim(id=f"book_{number:05}", account="acc_book", due=1) for number in range(ROWS)]
    rows.append(Claim(id="short_00001", account="acc_short", due=2))
    for first in range(0, len(rows), 500):
        await store.write(*(insert(_INSERT, row) for row in rows[first : first + 500]))


async def measure(url: str, folder: Path) -> str:
    claimed_ms, listed_ms, seen = [], [], set[str]()
    async with open_store(url, folder) as store:
        await fill(store)
        for _ in range(CLAIMS):
            began = time.perf_counter()
            listed = await CLAIMS_TABLE.list_open(store, await store.now(), LISTED)
            listed_ms.append(time.perf_counter() - began)
            held = await CLAIMS_TABLE.take(store, listed[0], 60_000_000)
            claimed_ms.append(time.perf_counter() - began)
            assert held is not None
            seen.update(each.account for each in listed[:2])
            await CLAIMS_TABLE.write(store, held, {"state": "done"}, gives_back=True)
    assert len(seen) == 2, "the other account is listed from the first claim on"
    return f"list p50 {_ms(listed_ms, 50)}, claim p50 {_ms(claimed_ms, 50)}, p99 {_ms(claimed_ms, 99)}"


def _ms(seconds: list[float], percent: int) -> str:
    return f"{1000 * statistics.quantiles(seconds, n=100)[percent - 1]:.2f} ms"


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        print(f"{ROWS} rows of one account, one of another; {CLAIMS} claims")
        print(f"sqlite      {asyncio.run(measure('sqlite', folder))}")
        server = stack.enter_context(postgres())
        print(f"postgresql  {asyncio.run(measure(server.url(), folder))}")


if __name__ == "__main__":
    main()
