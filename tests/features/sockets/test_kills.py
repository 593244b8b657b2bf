"""kill -9 in the middle of utterances: nothing is charged twice, and every stream is free again."""

from pathlib import Path

import pytest

from tests.faults.kills import Killing, Place, place
from tests.features.sockets.kills import POINTS, expect_books_to_outlive, speak

__all__ = ["place"]
pytestmark = pytest.mark.slow_but("test_the_books_outlive_a_kill_in_an_utterance")

AT_ONE, AT_TWO = "one worker", "two workers"


@pytest.mark.parametrize(
    ("place", "points"),
    [
        (AT_ONE, ("after_first_frame", "between_pieces", "after_settle")),
        (AT_TWO, ("after_hold", "before_settle", "after_interruption")),
    ],
    indirect=["place"],
)
def test_the_books_outlive_a_kill_in_an_utterance(
    tmp_path: Path, place: Place, points: tuple[str, ...]
) -> None:
    expect_books_to_outlive(Killing(tmp_path, place, "worker", speak), points)


@pytest.mark.soak
def test_the_books_outlive_sixty_kills_in_utterances(tmp_path: Path, place: Place) -> None:
    expect_books_to_outlive(
        Killing(tmp_path, place, "worker", speak), [point for point in POINTS for _ in range(10)]
    )
