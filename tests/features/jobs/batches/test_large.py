"""A large batch through its endpoints: what it counts as, and a repeat that goes on with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.features.jobs.core.parts import PartClaim
from proxy.storage.store import StorageUnreachable
from tests.features.jobs.batches.rig import ask_batch_of, jsonl, line, upload
from tests.features.jobs.job_rig import CONFIG, kind_of
from tests.proxy.api.inside import Inside, envelope, inside
from tests.replies import json_of

LINES = 1001
"""Three parts, and as many requests' worth."""
PLAN = """
[plans.seven]
rpm = 7
"""
KEY = {"idempotency-key": "the-batch-of-today"}


@asynccontextmanager
async def large(folder: Path, url: str = "sqlite") -> AsyncIterator[Inside]:
    """Open a worker that speaks no line."""
    async with inside(folder, CONFIG.format(url=url, one="") + PLAN, plan="seven") as server:
        kind_of(server).most_at_once = 0
        yield server


async def file_of(server: Inside, lines: int = LINES) -> str:
    sent = await upload(server, jsonl(*(line(f"{number}", "Hi.") for number in range(lines))))
    return str(json_of(sent)["id"])


async def test_making_and_cancelling_count_as_the_requests_that_the_lines_are_worth(tmp_path: Path) -> None:
    async with large(tmp_path) as server:
        file = await file_of(server)
        made = json_of(await ask_batch_of(server, file))
        assert (made["status"], made["request_counts"]["total"]) == ("in_progress", LINES)
        # It counts as three of seven requests, and its cancelling as two more beside itself.
        canceled = await server.ask("POST", f"/v1/batches/{made['id']}/cancel")
        assert json_of(canceled)["status"] == "cancelled"
        refused = await ask_batch_of(server, file)
        error = envelope(refused)
        assert (refused.status_code, error["code"]) == (429, "rate_limit_exceeded")
        assert "7 requests a minute, and this one counts as 3" in error["message"]
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        # The refused one counts as one, so one is left: a stop is never refused.
        small = json_of(await ask_batch_of(server, await file_of(server, 1)))
        canceled = await server.ask("POST", f"/v1/jobs/{small['id']}/cancel")
        assert json_of(canceled)["status"] == "canceled"


async def test_the_largest_batch_is_possible_on_a_small_plan(tmp_path: Path) -> None:
    async with large(tmp_path) as server:
        made = json_of(await ask_batch_of(server, await file_of(server, 7 * 500 + 1)))
        assert made["status"] == "in_progress"
        assert (await server.speech()).status_code == 429
        canceled = await server.ask("POST", f"/v1/batches/{made['id']}/cancel")
        assert json_of(canceled)["status"] == "cancelled"


async def test_a_repeat_goes_on_with_what_was_begun(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, left = PartClaim.write_part, 1

    async def breaks(self: PartClaim, *arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise StorageUnreachable("away for a moment")
        return await write(self, *arguments, **named)

    async with large(tmp_path, store_url) as server:
        store, file = server.worker.store, await file_of(server)
        monkeypatch.setattr(PartClaim, "write_part", breaks)
        assert (await ask_batch_of(server, file, KEY)).status_code == 503
        assert (await server.ask("GET", "/v1/batches")).json()["data"] == []
        (row,) = await store.read("SELECT id, state FROM jobs")
        assert row["state"] == "making"
        for path in (f"/v1/batches/{row['id']}", f"/v1/jobs/{row['id']}", f"/admin/jobs/{row['id']}"):
            assert (await server.ask("GET", path, key=server.admin_key)).status_code == 404
        monkeypatch.undo()
        other = await ask_batch_of(server, file, KEY, metadata={"for": "another"})
        assert envelope(other)["code"] == "idempotency_key_reused"
        # It was counted when it was begun: four requests are left after the first one and the other body.
        again = await ask_batch_of(server, file, KEY)
        made = json_of(again)
        assert (made["id"], made["status"]) == (row["id"], "in_progress")
        assert again.headers["x-voxgate-replayed"] == "true"
        (steps,) = await store.read("SELECT count(*) AS n, max(number) AS last FROM job_steps")
        assert (steps["n"], steps["last"]) == (LINES, LINES)
        assert json_of(await ask_batch_of(server, file, KEY))["id"] == row["id"]
        assert len(await store.read("SELECT digest FROM blobs")) == 2  # the file, and the batch's copy
