"""Kill -9 in states of a run elsewhere, on each kind of database; `tests/soak` has all points."""

from __future__ import annotations

from pathlib import Path

from tests.features.jobs.remote.far_kills import expect_one_run_of_each

STEPS = 3
POINTS = {
    "sqlite": ("after row", "after submit"),
    "postgresql": ("before name",),
}


async def test_each_step_begins_once_elsewhere_however_often_the_worker_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    points = POINTS[store_url.partition(":")[0]]
    await expect_one_run_of_each(tmp_path, store_url, [(point, 1) for point in points], STEPS)
