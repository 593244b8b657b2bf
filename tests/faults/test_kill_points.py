"""A kill at each named point: the books agree, nobody is charged twice, and no answer that arrived whole is
missing from them. `make soak` kills whom it likes at every point, on each database, again and again."""

from pathlib import Path

import pytest

from tests.faults.kills import POINTS, Killing, Place, expect_books_to_outlive

pytestmark = pytest.mark.slow

AT_ONE, AT_TWO = "one worker", "two workers"


@pytest.mark.parametrize(
    ("place", "whom", "points"),
    [
        (AT_ONE, "worker", ("after_first_byte", "before_settle")),
        # What differs here is who keeps the holds, and who settles.
        (AT_TWO, "worker", ("after_hold", "after_settle")),
        (AT_ONE, "supervisor", ("before_settle",)),
    ],
    indirect=["place"],
)
def test_the_books_outlive_a_kill_at_each_point(
    tmp_path: Path, place: Place, whom: str, points: tuple[str, ...]
) -> None:
    expect_books_to_outlive(Killing(tmp_path, place, whom), points)


@pytest.mark.soak
@pytest.mark.parametrize("whom", ["worker", "supervisor"])
def test_the_books_outlive_eighty_kills(tmp_path: Path, place: Place, whom: str) -> None:
    expect_books_to_outlive(Killing(tmp_path, place, whom), [point for point in POINTS for _ in range(5)])
