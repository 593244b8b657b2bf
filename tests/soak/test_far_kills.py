"""Kill -9 at each point of runs elsewhere, on both kinds of databases."""

from __future__ import annotations

from pathlib import Path

from tests.features.jobs.remote.far_kills import expect_one_run_of_each

POINTS = (
    *("before row", "after row", "after submit", "before name", "after name", "before look", "after look"),
    *("before charge", "after charge", "after sound", "after file", "before settlement", "after settlement"),
    "before end",
)


async def test_a_worker_is_killed_at_every_point_of_runs_elsewhere(tmp_path: Path, store_url: str) -> None:
    await expect_one_run_of_each(tmp_path, store_url, [(point, 1) for point in POINTS], 16)
