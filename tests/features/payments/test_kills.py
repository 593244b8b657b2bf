"""A stop at each commit and around each call of the provider: nothing is lost or doubled."""

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.feature_list import open_store
from proxy.storage.store import Store
from tests import forked
from tests.databases import lay_tables
from tests.features.mail.receiver import Receiver, receiver
from tests.features.payments.rig import TinyProvider
from tests.features.payments.stops import NEVER, Life, Points, life_on
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


def _arrived(served: Receiver) -> Counter[str]:
    """The mails by their subjects, without their dates. One that came again is one, by its id."""
    subjects = {mail["Message-ID"]: str(mail["Subject"]) for mail in served.got}
    return Counter(subject.partition(" on ")[0] for subject in subjects.values())


async def _live(
    store: Store, at: int, folder: Path, smtp_url: str, outside: TinyProvider, seconds: float
) -> tuple[Life, Points]:
    """Live until a stop, or to the end."""
    before, stopped = asyncio.all_tasks(), asyncio.Event()
    points = Points(at, stopped.set)
    life = life_on(store, points, folder, smtp_url, outside)
    life.shop.clock.seconds = seconds
    living = asyncio.create_task(life.live())
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([living, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not points.is_dead:
        await living
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await asyncio.gather(*(asyncio.all_tasks() - before), return_exceptions=True)
    # The connections of a process end with it.
    for worker in life.shop.workers:
        assert worker.mails is not None
        await worker.mails.close()
    return life, points


@pytest.mark.parametrize("every", [30, *soak(1)])
async def test_a_stop_at_any_point_loses_and_doubles_nothing(tmp_path: Path, every: int) -> None:
    expected, points = await _with_a_stop(tmp_path / "whole", NEVER)
    assert [month[:2] for month in expected["months"]] == MONTHS
    assert (expected["granted"], expected["contradictions"]) == (GRANTED, [])
    assert (expected["cancelled"], expected["ended"]) == (CANCELLED, 2)
    assert expected["plan"] == ("free", None)
    assert expected["mails"] == MAILS
    struck = range(1, points, every)
    assert len(struck) >= 12
    for point in struck:
        found, _ = await _with_a_stop(tmp_path / str(point), point)
        assert found == expected, point


async def _with_a_stop(folder: Path, point: int) -> tuple[dict[str, Any], int]:
    lay_tables(folder)
    outside = TinyProvider()
    async with receiver() as served, open_store("sqlite", folder) as store:
        life, points = await _live(store, point, folder, served.url, outside, 0.0)
        passed = points.passed
        if points.is_dead:
            life, points = await _live(store, NEVER, folder, served.url, outside, life.shop.clock.seconds)
        return {**await life.found(), "mails": _arrived(served)}, passed


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
    assert (_arrived(served), found["mails that wait"]) == (MAILS, 0)
