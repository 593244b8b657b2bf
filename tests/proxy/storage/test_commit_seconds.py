"""The time of each commit, as the metrics have it: on both databases, without reads and without waiting."""

import asyncio
from pathlib import Path

from proxy import storage
from proxy.config.sections import Storage
from proxy.feature_list import all_tables
from proxy.storage.store import Statement
from tests.proxy.api.inside import inside

_SLOW = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT max(i) FROM n"
)


async def test_each_commit_is_timed_and_no_read_is(new_store_url: str, tmp_path: Path) -> None:
    seconds: list[float] = []
    async with storage.open_store(Storage(new_store_url), tmp_path, all_tables()) as store:
        store.watch_commits(seconds.append)
        await store.read("SELECT 1 AS one")
        assert not seconds
        await store.write(Statement("DELETE FROM accounts"))
        await store.write(Statement("DELETE FROM accounts"), Statement("DELETE FROM accounts"))
        assert len(seconds) == 2
        began = asyncio.get_running_loop().time()
        await store.write(Statement(_SLOW), Statement("DELETE FROM accounts"))
        assert 0.01 < seconds[-1] <= asyncio.get_running_loop().time() - began


async def test_the_metrics_of_a_server_have_the_time_of_its_commits(tmp_path: Path) -> None:
    async with inside(tmp_path) as server:
        before = _count(server.worker.metrics.page_text())
        await server.worker.store.write(Statement("DELETE FROM voices"))
        assert _count(server.worker.metrics.page_text()) > before > 0


def _count(page: str) -> float:
    (line,) = [line for line in page.splitlines() if line.startswith("voxgate_commit_seconds_count")]
    return float(line.split()[-1])
