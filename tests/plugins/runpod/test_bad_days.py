"""All that can go wrong at Runpod, at random, and a kill after each call: never a double start, never past
the cap, and nothing that bills in the end. What the fake says was spent is no more than what was charged.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from fakes.provider import Provider
from speech_engine import EngineError
from speech_engine.runner import OPEN, CannotTell, NotBegun, RemoteState, RemoteWork, Runner
from tests.plugins.runpod.rig import Rig, remote_worker, rig, work
from tests.tables import each_row

pytestmark = pytest.mark.slow

_MOST_RUNS = 60
_MOST_CALLS = 400
_FAULTS: tuple[dict[str, Any], ...] = (
    {"name": "429", "retry_after": "2"},
    {"name": "429", "retry_after": "40"},
    {"name": "5xx", "status": 500},
    {"name": "5xx", "status": 503},
    {"name": "lost"},
    {"name": "lost", "count": 5},
    {"name": "truncated", "after_bytes": 4},
    {"name": "garbage"},
    {"name": "error_in_200", "code": "not_json"},
    {"name": "error_in_200", "code": "unknown_state", "path": "/status"},
    {"name": "error_in_200", "code": "vanish", "path": "/status"},
)


class Watched:
    """The far end, which notes whether one piece of work is ever done twice at the same time."""

    def __init__(self) -> None:
        self.alive: Counter[str] = Counter()
        self.doubles: list[str] = []

    async def handle(self, job: dict[str, Any]) -> AsyncIterator[Any]:
        piece = job["input"]["key"].rpartition(".")[0]
        self.alive[piece] += 1
        if self.alive[piece] > 1:
            self.doubles.append(piece)
        try:
            async for each in remote_worker(job):
                await asyncio.sleep(0)
                yield each
        finally:
            self.alive[piece] -= 1


class Driver:
    """Has work done as the server does: each run has its key, and a new one begins when the last is over."""

    def __init__(self, at: Rig, runner: Callable[[], Runner], dice: random.Random) -> None:
        self.at = at
        self.runner = runner
        self.charged_usd = 0.0
        self._dice = dice

    def pass_time(self, seconds: float) -> None:
        """Let time pass, see that no cap is passed, and let something break."""
        self.at.fake.clock.advance(seconds)
        if (pods := self.at.settings.pods) is not None:
            billing = self.at.fake.fleet.billing
            assert len(billing) <= pods.most_pods
            assert sum(pod.usd_per_hour for pod in billing) <= pods.usd_per_hour
        servers: tuple[Provider, ...] = (self.at.fake.jobs, self.at.fake.management, self.at.fake.proxy)
        for server in servers:
            if self._dice.random() < 0.2:
                # A pod of ours forgets nothing while it lives.
                faults = _FAULTS[:-1] if server is self.at.fake.proxy else _FAULTS
                fault = {"path": "/", **self._dice.choice(faults)}
                server.fail(**fault)

    async def have_done(self, piece: str) -> None:
        for number in range(_MOST_RUNS):
            sent = work(f"{piece}.{number}")
            self.pass_time(1.0)
            if (name := await self._begun(sent)) is None:
                continue
            state = await self._over(name, sent)
            most = self.runner().limits.most_usd
            assert state.usd is None or state.usd <= most
            self.charged_usd += most if state.usd is None else state.usd
            if state.status == "done":
                assert state.pieces[0].data == sent.key.encode()
                return
        raise AssertionError("it is never done")

    async def _begun(self, sent: RemoteWork) -> str | None:
        """Return the name of a run, and None if there surely is none (any more)."""
        try:
            return await self.runner().submit(sent)
        except NotBegun:
            self.pass_time(30.0)
            return None
        except EngineError:
            self.pass_time(60.0)
        for _ in range(_MOST_CALLS):
            try:
                return await self.runner().find(sent.key)
            except CannotTell:
                self.pass_time(self.runner().limits.over_s)
                self.charged_usd += self.runner().limits.most_usd
                return None
            except EngineError:
                self.pass_time(5.0)
        raise AssertionError("it is never known")

    async def _over(self, name: str, sent: RemoteWork) -> RemoteState:
        for _ in range(_MOST_CALLS):
            try:
                state = await self.runner().look(name, sent, 0)
            except EngineError:
                self.pass_time(5.0)
                continue
            if state.status not in OPEN:
                return state
            self.pass_time(5.0)
            await asyncio.sleep(0.001)
        raise AssertionError("it is never over")


@each_row("seed", range(12))
async def test_at_an_endpoint_nothing_is_begun_twice_and_all_is_charged(seed: int) -> None:
    watched = Watched()
    async with rig(watched.handle, queue={"run_s": 7.0, "queue_s": 3.0}) as at:
        driver = Driver(at, lambda: at.serverless, random.Random(seed))
        for piece in range(3):
            await driver.have_done(f"piece{piece}")
        begun = Counter(asked["key"] for _id, asked in at.fake.starts)
        assert begun
        assert max(begun.values()) == 1
        assert watched.doubles == []
        assert 0 < at.fake.spent_usd <= driver.charged_usd


@each_row("seed", range(12))
async def test_in_pods_nothing_is_begun_twice_and_the_caps_hold(seed: int) -> None:
    watched = Watched()
    async with rig(watched.handle, pods={"most_pods": 2, "usd_per_hour": 0.9}) as at:
        began = at.fake.clock()
        driver = Driver(at, lambda: at.pods, random.Random(seed))
        for piece in range(3):
            await driver.have_done(f"piece{piece}")
            driver.pass_time(100.0)
        begun = Counter(asked["key"] for _id, asked in at.fake.starts)
        assert begun
        assert max(begun.values()) == 1
        assert watched.doubles == []
        for server in (at.fake.jobs, at.fake.management, at.fake.proxy):
            server.faults.clear()
        at.fake.clock.advance(300.0)
        await at.pods.tidy({})
        assert at.fake.fleet.billing == []
        hours = (at.fake.clock() - began) / 3600
        assert 0 < at.fake.spent_usd <= 0.9 * hours
