"""A hundred kills at all points of a job's steps, on each kind of database."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.features.jobs.job_kills import expect_one_of_each
from tests.features.jobs.job_program import POINTS

KILLS = 100


async def test_a_job_ends_once_after_a_hundred_kills(tmp_path: Path, store_url: str) -> None:
    random = Random(1)
    kills = [(point, random.choice((1, 1, 2))) for point in random.choices([*POINTS], k=KILLS)]
    await expect_one_of_each(tmp_path, store_url, kills, 3 * KILLS)


async def test_a_job_ends_once_after_kills_over_three_days_and_a_cycles_turn(
    tmp_path: Path, store_url: str
) -> None:
    # Those first after which a step is charged.
    kills = [(point, 1) for point in reversed((*POINTS, *POINTS))]
    books = await expect_one_of_each(tmp_path, store_url, kills, 4 * len(kills), days=3.0)
    assert books.cycles == 2
    assert books.days > 2.5
