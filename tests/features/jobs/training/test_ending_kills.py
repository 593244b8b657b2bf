"""Kill -9 while an account ends a training on a rented machine; `make soak` has all ways and points."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.features.jobs.kinds.training import training_input
from tests.features.jobs.training.ending_kills import expect_one_charge
from tests.features.jobs.training.ending_program import ENDS, POINTS
from tests.features.jobs.training.training_rig import RECORDINGS

KILLS = {"sqlite": ("job", ("after charge",)), "postgresql": ("voice", ("after voice",))}


async def test_an_ended_training_is_charged_once_however_often_the_server_is_killed(
    tmp_path: Path, store_url: str
) -> None:
    how, points = KILLS[store_url.partition(":")[0]]
    await expect_one_charge(tmp_path, store_url, how, points)


@pytest.mark.soak
@pytest.mark.parametrize("how", ENDS)
async def test_an_ended_training_is_charged_once_whatever_is_killed(
    tmp_path: Path, store_url: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_input, "LEAST_RECORDINGS", RECORDINGS)
    points = [f"{when} {what}" for what in (how, *POINTS) for when in ("before", "after")]
    if how == "voice":
        # Its journal has it before the database: the next start erases it, and comes to this point no more.
        points.remove("after voice")
    await expect_one_charge(tmp_path, store_url, how, points)
