"""A stop at each commit and around each call of the provider: nothing is lost or doubled."""

import signal
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from tests import forked
from tests.features.mail.receiver import receiver
from tests.features.payments.stops import NEVER, arrived, with_a_stop
from tests.tables import soak

pytestmark = pytest.mark.slow

MAILS = Counter(
    {
        "Receipt: 500 credits": 2,
        "Receipt: Plan mini, one month (1.6 min)": 2,
        "Receipt: Plan pro, one month (16 min)": 1,
        "Your plan pro ends": 2,
        "Your plan pro has ended": 1,
    }
)
GRANTED = 832.775919
CANCELLED = [{"state": "open", "url": "", "many": 1}, {"state": "paid", "url": "", "many": 1}]
"""Of two orders that were cancelled, one was paid afterwards. Both checkouts are ended."""
MONTHS = [("mini", "carried"), ("mini", "dropped"), ("pro", "past")]


@pytest.mark.parametrize("every", [30, *soak(1)])
async def test_a_stop_at_any_point_loses_and_doubles_nothing(tmp_path: Path, every: int) -> None:
    expected, points = await with_a_stop("sqlite", tmp_path / "whole", NEVER)
    assert [month[:2] for month in expected["months"]] == MONTHS
    assert (expected["granted"], expected["contradictions"]) == (GRANTED, [])
    assert (expected["cancelled"], expected["ended"]) == (CANCELLED, 2)
    assert (expected["plan"], expected["failed refunds"]) == (("free", None), [1])
    assert expected["mails"] == MAILS
    struck = range(1, points.passed, every)
    assert len(struck) >= 12
    for point in struck:
        found, _ = await with_a_stop("sqlite", tmp_path / str(point), point)
        assert found == expected, point


async def _run(url: str, folder: Path, point: int, *others: str) -> tuple[int, str]:
    ended = await forked.run("tests.features.payments.stops", url, str(folder), str(point), *others)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stdout
    return ended.returncode, ended.stdout


@pytest.mark.parametrize("store_url", ["sqlite", *soak("postgresql")], indirect=True)
@pytest.mark.parametrize(
    ("first", "step", "webhooks"), [(40, NEVER, "all"), *soak((1, 1, "all"), (1, 1, "none"))]
)
async def test_a_real_kill_loses_and_doubles_nothing(
    tmp_path: Path, store_url: str, first: int, step: int, webhooks: str
) -> None:
    """A process is killed at a point, and another one goes on, again and again until it gets to the end."""
    point, kills = first, 0
    async with receiver() as served:
        while True:
            code, out = await _run(store_url, tmp_path, point, webhooks, served.url)
            if code == 0:
                break
            kills += 1
            point = NEVER if step == NEVER else point + step
    found = msgspec.json.decode(out.splitlines()[-1])
    print(f"{kills} kills")
    assert kills
    assert [tuple(month[:2]) for month in found["months"]] == MONTHS
    assert (found["granted"], found["contradictions"]) == (GRANTED, [])
    assert (found["cancelled"], found["ended"]) == (CANCELLED, 2)
    assert found["failed refunds"] == [1]
    assert (arrived(served), found["mails that wait"]) == (MAILS, 0)
