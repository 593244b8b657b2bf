"""What is on record once a server has stopped: its usage rows, its entries, and whether they agree."""

import asyncio
from pathlib import Path
from typing import NamedTuple

from proxy.feature_list import open_store
from proxy.features.admin.verify import VerifyResult, verify
from proxy.storage import usage
from proxy.storage.usage import UsageRow

_SPENT = """
SELECT request, count(*) AS entries, CAST(-sum(amount) AS BIGINT) AS amount FROM entries
WHERE kind = 'spend' GROUP BY request
"""
_LIVE = "SELECT count(*) AS live FROM holds WHERE expires > :now"


class Books(NamedTuple):
    """`spent` has the micro-credits by request."""

    rows: dict[str, UsageRow]
    spent: dict[str, int]
    verdict: VerifyResult

    @property
    def total(self) -> int:
        return sum(self.spent.values())


def books(url: str, data: Path) -> Books:
    async def read() -> Books:
        async with open_store(url, data) as store:
            rows = {row.id: row for row in await usage.list_newest(store, limit=1_000_000)}
            spent = {row["request"]: row["amount"] for row in await store.read(_SPENT)}
            return Books(rows, spent, await verify(store))

    return asyncio.run(read())


def live_holds(url: str, data: Path) -> int:
    async def count() -> int:
        async with open_store(url, data) as store:
            (row,) = await store.read(_LIVE, {"now": await store.now()})
            live: int = row["live"]
            return live

    return asyncio.run(count())
