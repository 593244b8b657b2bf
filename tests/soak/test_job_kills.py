"""A hundred kills at all points of a job's steps, on each kind of database."""

from __future__ import annotations

from pathlib import Path
from random import Random

from tests.features.jobs.job_kills import Kill, expect_one_of_each, expect_one_of_each_line
from tests.features.jobs.job_program import FILE_POINTS, POINTS

KILLS = 100


async def test_a_job_ends_once_after_a_hundred_kills(tmp_path: Path, store_url: str) -> None:
    await expect_one_of_each(tmp_path, store_url, _kills(KILLS), 3 * KILLS)


async def test_a_job_ends_once_after_kills_over_three_days_and_a_cycles_turn(
    tmp_path: Path, store_url: str
) -> None:
    # Those first after which a step is charged.
    kills = [(point, 1) for point in reversed((*POINTS, *POINTS))]
    books = await expect_one_of_each(tmp_path, store_url, kills, 4 * len(kills), days=3.0)
    assert books.cycles == 2
    assert books.days > 2.5


async def test_a_job_with_a_file_ends_once(tmp_path: Path, store_url: str) -> None:
    kills = [*_kills(KILLS // 10), *((point, 1) for point in FILE_POINTS)]
    await expect_one_of_each(tmp_path, store_url, kills, KILLS // 2, "flac")


async def test_a_batch_ends_once_after_many_kills(tmp_path: Path, store_url: str) -> None:
    await expect_one_of_each_line(tmp_path, store_url, _kills(KILLS // 4), KILLS)


async def test_a_file_is_encoded_once_however_often_its_worker_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    """After its rows are written, there is nothing more to kill."""
    *before, last = FILE_POINTS
    kills = [(point, 1) for point in Random(2).choices(before, k=KILLS // 4)]
    await expect_one_of_each(tmp_path, store_url, [*kills, (last, 1)], 6, "flac")


def _kills(number: int) -> list[Kill]:
    random = Random(1)
    return [(point, random.choice((1, 1, 2))) for point in random.choices([*POINTS], k=number)]
