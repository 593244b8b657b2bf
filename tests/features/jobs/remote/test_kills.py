"""Kill -9 in states of a run elsewhere, on each kind of database; `make soak` has all points."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.features.jobs.remote.far_kills import expect_one_run_of_each

STEPS = 3
ALL_POINTS = (
    *("before row", "after row", "after submit", "before name", "after name", "before look", "after look"),
    *("before charge", "after charge", "after sound", "after file", "before settlement", "after settlement"),
    "before end",
)
POINTS = {
    "sqlite": ("after row", "after submit"),
    "postgresql": ("before name",),
}


async def test_each_step_begins_once_elsewhere_however_often_the_worker_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    points = POINTS[store_url.partition(":")[0]]
    await expect_one_run_of_each(tmp_path, store_url, [(point, 1) for point in points], STEPS)


@pytest.mark.soak
async def test_a_worker_is_killed_at_every_point_of_runs_elsewhere(tmp_path: Path, store_url: str) -> None:
    await expect_one_run_of_each(tmp_path, store_url, [(point, 1) for point in ALL_POINTS], 16)
