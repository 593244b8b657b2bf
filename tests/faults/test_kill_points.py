"""A kill at each named point: the books agree, nobody is charged twice, and no answer that arrived whole is
missing from them. `tests/soak` kills five times as often."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.kills import Killing, Place, expect_books_to_outlive


@pytest.mark.parametrize("whom", ["worker", "supervisor"])
def test_the_books_outlive_a_kill_at_each_point(tmp_path: Path, place: Place, whom: str) -> None:
    expect_books_to_outlive(Killing(tmp_path, place, whom), kills=1)
