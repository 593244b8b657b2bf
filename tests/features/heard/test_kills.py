"""What is killed while speech is checked: nothing is charged twice, what was wrong is free, and free speech
has a bound. The engine is always wrong, so that all clients want the last of the room at once."""

import asyncio
from itertools import count
from pathlib import Path

import httpx2
import pytest

from proxy.feature_list import open_store
from proxy.features.heard.free_room import ALWAYS_FREE_S, FREE_SHARE
from proxy.storage.usage import CheckSums
from tests.faults import damaging_plugin
from tests.faults.kills import (
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
rate = 1.0
[voices.ana]
damaging = "v"
"""
TEXT = "The boat leaves the harbour before noon today. Nobody knows who has written this letter to us. "
PART_S = 4.0
"""No sentence of the text is longer."""
_SPANS = (
    "SELECT CAST(sum(free_ms) AS BIGINT) AS free, "
    "CAST(sum(CASE WHEN charged_ms > 0 THEN charged_ms ELSE 0 END) AS BIGINT) AS charged FROM heard_spans"
)


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
    # The claims of requests whose settlement was killed count, too.
    claimed_s, charged_s = spans_s(there, tmp_path)
    most_s = ALWAYS_FREE_S + FREE_SHARE * charged_s
    print(f"{claimed_s:.3f} s claimed of {most_s:.3f}")
    assert 0 < free_s <= claimed_s + 0.001 * len(sums)
    assert most_s - 2 * PART_S <= claimed_s <= most_s


def spans_s(there: Place, folder: Path) -> tuple[float, float]:
    async def read() -> tuple[float, float]:
        async with open_store(there.url, folder / "data") as store:
            (row,) = await store.read(_SPANS)
            return row["free"] / 1000, row["charged"] / 1000

    return asyncio.run(read())
