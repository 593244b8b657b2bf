"""Kill -9 while an account ends a training on a rented machine; `tests/soak` has all ways and points."""

from __future__ import annotations

from pathlib import Path

from tests.features.jobs.training.ending_kills import expect_one_charge

KILLS = {"sqlite": ("job", ("after charge",)), "postgresql": ("voice", ("after voice",))}


async def test_an_ended_training_is_charged_once_however_often_the_server_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    how, points = KILLS[store_url.partition(":")[0]]
    await expect_one_charge(tmp_path, store_url, how, points)
