"""Kill -9 at a boundary of a step and inside of it, on each kind of database; `tests/soak` has all points."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2

from tests import server
from tests.faults.processes import kill, usage_rows, worker
from tests.features.jobs.job_kills import expect_one_of_each, expect_one_of_each_line
from tests.features.jobs.job_rig import said, text_of, words_of
from tests.waiting import until

STEPS = 6
POINTS = {
    "sqlite": ("after sound", "after settlement"),
    "postgresql": ("after hold", "after file", "before end"),
}


async def test_a_job_ends_once_however_often_its_worker_is_killed(tmp_path: Path, store_url: str) -> None:
    points = POINTS[store_url.partition(":")[0]]
    await expect_one_of_each(tmp_path, store_url, [(point, 1) for point in points], STEPS)


async def test_each_line_of_a_batch_ends_once_however_often_its_worker_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    points = {"sqlite": ("after file", "before end"), "postgresql": ("after settlement", "after end")}
    kills = [(point, 2) for point in points[store_url.partition(":")[0]]]
    await expect_one_of_each_line(tmp_path, store_url, kills, STEPS)


def test_a_servers_killed_worker_goes_on_where_it_was(tmp_path: Path) -> None:
    with server.running(tmp_path) as running:
        body = {"model": "tone", "voice": "alloy", "input": text_of(8), "response_format": "pcm"}
        with running.client() as client:
            id_ = client.post("/v1/jobs", json=body).json()["id"]

        def shown() -> dict[str, Any]:
            # While its worker is away, the server takes no connection.
            with suppress(httpx2.HTTPError), running.client() as client:
                answer = client.get(f"/v1/jobs/{id_}")
                if answer.is_success:
                    return dict(answer.json())
            return {"status": "away", "steps_done": 0}

        until(lambda: shown()["steps_done"] >= 3)
        kill(worker(running))
        until(lambda: shown()["status"] == "done")
        with running.client() as client:
            sound = client.get(f"/v1/jobs/{id_}/content").content
        assert said(sound) == words_of(8)
    rows = usage_rows(running).values()
    assert sum(row.outcome == "finished" for row in rows) == 8
