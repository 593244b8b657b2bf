"""Plans and money on a running server: what the CLI changes counts at once, and old usage goes by itself."""

import json
import time
from pathlib import Path

import msgspec

from proxy.feature_list import open_store
from proxy.storage import usage
from tests import server
from tests.proxy.storage.test_usage import ROW
from tests.waiting import until

_CONFIG = (
    server.TONE.replace("[server]", "[server]\nusage_days = 1")
    + """
[plans.small]
allowance = 1
[plans.small.prices]
speech = { credits = 1, per = "job" }
"""
)

running = server.live_server(_CONFIG)


async def test_usage_that_is_too_old_goes_when_the_server_starts(tmp_path: Path) -> None:
    now = time.time_ns() // 1000
    rows = [
        msgspec.structs.replace(ROW, id=f"req_{hours}", started=now - hours * 3_600_000_000)
        for hours in (1, 23, 25, 1000)
    ]
    async with open_store("sqlite", tmp_path / "data") as store:
        await store.write(*map(usage.insert_statement, rows))
    with server.running(tmp_path, _CONFIG) as started:
        until(lambda: "usage.delete.complete" in started.log.read_text())
        left = json.loads(started.cli("usage", "--json").stdout)["data"]
    assert [row["id"] for row in left] == ["req_1", "req_23"]
