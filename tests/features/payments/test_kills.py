"""A stop at each commit and around each call of the provider: nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proxy.features.all import open_store
from proxy.storage.store import Store
from tests.databases import lay_tables
from tests.features.payments.rig import TinyProvider
from tests.features.payments.stops import NEVER, Life, Points, life_on
from tests.tables import soak

MONTHS = [("mini", "carried"), ("mini", "dropped"), ("pro", "past")]
EVERY = 4
"""`make test` stops at one point of so many; `make soak` at each."""


async def _live(store: Store, at: int, outside: TinyProvider, seconds: float) -> tuple[Life, Points]:
    """Live until a stop, or to the end."""
    before, stopped = asyncio.all_tasks(), asyncio.Event()
    points = Points(at, stopped.set)
    life = life_on(store, points, outside)
    life.shop.clock.seconds = seconds
    living = asyncio.create_task(life.live())
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([living, waiting], return_when=asyncio.FIRST_COMPLETED)
    if not points.is_dead:
        await living
    for task in asyncio.all_tasks() - before:
        task.cancel()
    await asyncio.gather(*(asyncio.all_tasks() - before), return_exceptions=True)
    return life, points


async def test_a_stop_at_any_point_loses_and_doubles_nothing(tmp_path: Path) -> None:
    expected, points = await _with_a_stop(tmp_path / "whole", NEVER)
    assert [month[:2] for month in expected["months"]] == MONTHS
    assert (expected["granted"], expected["contradictions"]) == (332.775919, [])
    assert expected["plan"] == ("free", None)
    struck = range(1, points, EVERY)
    assert len(struck) >= 12
    for point in struck:
        found, _ = await _with_a_stop(tmp_path / str(point), point)
        assert found == expected, point


async def _with_a_stop(folder: Path, point: int) -> tuple[dict[str, Any], int]:
    lay_tables(folder)
    outside = TinyProvider()
    async with open_store("sqlite", folder) as store:
        life, points = await _live(store, point, outside, 0.0)
        passed = points.passed
        if points.is_dead:
            life, points = await _live(store, NEVER, outside, life.shop.clock.seconds)
        return await life.found(), passed


async def _run(url: str, folder: Path, point: int, webhooks: str) -> tuple[int | None, bytes]:
    program = (sys.executable, "-m", "tests.features.payments.stops", url, str(folder), str(point), webhooks)
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    process = await asyncio.create_subprocess_exec(
        *program, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), err.decode()
    return process.returncode, out


@pytest.mark.parametrize(
    ("first", "step", "webhooks"), [(40, NEVER, "all"), *soak((1, 1, "all"), (1, 3, "none"))]
)
async def test_a_real_kill_loses_and_doubles_nothing(
    tmp_path: Path, store_url: str, first: int, step: int, webhooks: str
) -> None:
    """A process is killed at a point, and another one goes on, again and again until it gets to the end."""
    point, kills = first, 0
    while True:
        code, out = await _run(store_url, tmp_path, point, webhooks)
        if code == 0:
            break
        kills += 1
        point = NEVER if step == NEVER else point + step
    found = msgspec.json.decode(out.splitlines()[-1])
    assert kills
    assert [tuple(month[:2]) for month in found["months"]] == MONTHS
    assert (found["granted"], found["contradictions"]) == (332.775919, [])
