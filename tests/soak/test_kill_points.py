"""Eighty kills, under load; see `tests.faults.kills`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import POINTS, Killing, Place, expect_books_to_outlive

KILLS = 5


@pytest.mark.parametrize("whom", ["worker", "supervisor"])
def test_the_books_outlive_every_kill(tmp_path: Path, place: Place, whom: str) -> None:
    expect_books_to_outlive(Killing(tmp_path, place, whom), [point for point in POINTS for _ in range(KILLS)])
