"""What is killed while speech is checked: nothing is charged twice, what was wrong is free, and free speech
has a bound."""

from itertools import count
from pathlib import Path

import httpx2
import pytest

from proxy.features.heard.free_room import ALWAYS_FREE_S, FREE_SHARE
from proxy.storage.usage import CheckSums
from tests.faults import damaging_plugin
from tests.faults.kills import (
    CLIENTS,
    POINTS,
    FaultOrder,
    Killing,
    Place,
    ask,
    expect_books_to_outlive,
    place,
)

pytestmark = pytest.mark.slow
__all__ = ["place"]

CHECK_POINTS = ("before_check", "after_check", "before_check_again", "after_part")
CONFIG = """
[engines.damaging]
rate = 0.4
[voices.ana]
damaging = "v"
"""
TEXT = "The boat leaves the harbour before noon today. Nobody knows who has written this letter to us. "
SENTENCES = 2 * TEXT.count(".")


def speak(client: httpx2.Client, number: int) -> FaultOrder:
    return ask(client, TEXT * 2, model="damaging/m", voice="ana", check="heard", seed=number)


def test_the_books_outlive_a_kill_at_each_point(tmp_path: Path, place: Place) -> None:
    (plugins := tmp_path / "plugins").mkdir()
    found, numbers = damaging_plugin.environ(plugins)["PYTHONPATH"], count(1)
    there = place._replace(config=place.config + CONFIG)
    killing = Killing(tmp_path, there, "worker", lambda client: speak(client, next(numbers)), found)
    expect_books_to_outlive(killing, (*POINTS, *CHECK_POINTS))
    sums = [sums for row in killing.books().rows.values() if (sums := CheckSums.of_column(row.checked))]
    checked_s, free_s = (sum(getattr(each, name) for each in sums) for name in ("checked_s", "free_s"))
    print(f"{checked_s:.0f} s checked, {free_s:.0f} s free, {sum(each.again for each in sums)} said again")
    assert any(each.wrong for each in sums)
    assert any(each.again for each in sums)
    part_s = checked_s / len(sums) / SENTENCES
    assert 0 < free_s <= ALWAYS_FREE_S + FREE_SHARE * checked_s + CLIENTS * part_s, (
        "one part of each request more"
    )
