"""Kill -9 at a boundary of a step and inside of it, on each kind of database; `make soak` has all points."""

from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import httpx2
import pytest

from tests import server
from tests.faults.processes import kill, usage_rows, worker
from tests.features.jobs.job_kills import Kill, expect_one_of_each, expect_one_of_each_line
from tests.features.jobs.job_program import FILE_POINTS
from tests.features.jobs.job_program import POINTS as ALL_POINTS
from tests.features.jobs.job_rig import said, text_of, words_of
from tests.waiting import until

pytestmark = pytest.mark.slow

STEPS = 6
KILLS = 100
"""In `make soak`."""
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


@pytest.mark.soak
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


@pytest.mark.soak
async def test_a_job_ends_once_after_a_hundred_kills(tmp_path: Path, store_url: str) -> None:
    await expect_one_of_each(tmp_path, store_url, _kills(KILLS), 3 * KILLS)


@pytest.mark.soak
async def test_a_job_ends_once_after_kills_over_three_days_and_a_cycles_turn(
    tmp_path: Path, store_url: str
) -> None:
    # Those first after which a step is charged.
    kills = [(point, 1) for point in reversed((*ALL_POINTS, *ALL_POINTS))]
    books = await expect_one_of_each(tmp_path, store_url, kills, 4 * len(kills), days=3.0)
    assert books.cycles == 2
    assert books.days > 2.5


@pytest.mark.soak
async def test_a_job_with_a_file_ends_once(tmp_path: Path, store_url: str) -> None:
    kills = [*_kills(KILLS // 10), *((point, 1) for point in FILE_POINTS)]
    await expect_one_of_each(tmp_path, store_url, kills, KILLS // 2, "flac")


@pytest.mark.soak
async def test_a_batch_ends_once_after_many_kills(tmp_path: Path, store_url: str) -> None:
    await expect_one_of_each_line(tmp_path, store_url, _kills(KILLS // 4), KILLS)


@pytest.mark.soak
async def test_a_file_is_encoded_once_however_often_its_worker_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    """After its rows are written, there is nothing more to kill."""
    *before, last = FILE_POINTS
    kills = [(point, 1) for point in Random(2).choices(before, k=KILLS // 4)]
    await expect_one_of_each(tmp_path, store_url, [*kills, (last, 1)], 6, "flac")


def _kills(number: int) -> list[Kill]:
    random = Random(1)
    return [(point, random.choice((1, 1, 2))) for point in random.choices([*ALL_POINTS], k=number)]
