"""The feature runners, as the list of all has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.runners.check import ceilings
from proxy.features.runners.records import TABLES, Ceilings

if TYPE_CHECKING:
    from proxy.engines.remote_engine import RemoteEngine
    from proxy.features.runners.introducing import Introducing
    from proxy.features.runners.links import Links
    from proxy.features.runners.metrics import RunnerMetrics
    from proxy.features.runners.runs import Runs
    from speech_engine.runner import Runner

_MICRO = 1_000_000


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    if house.engines is None:
        yield Opened(house)
        return
    from proxy.features.runners.metrics import RunnerMetrics

    metrics = RunnerMetrics(house.metrics.registry)
    engines = house.engines.remote()
    if not engines:
        yield Opened(house)
        return
    from proxy.features.runners.links import Links
    from proxy.features.runners.sample_door import SampleDoor
    from proxy.features.runners.sweeping import Sweeping
    from proxy.features.runners.training_door import TrainingDoor

    links = Links(house.vault, house.config_at_start.server.public_url)
    door = SampleDoor(house.store, links, {engine.name: engine for engine in engines})
    trainings = TrainingDoor(house.store, links, house.far_trainings)

    def at(revision: HouseRevision) -> Served:
        links.root = revision.config.server.public_url
        return Served([*door.endpoints, *trainings.endpoints])

    async with AsyncExitStack() as stack:
        runners = await _open_runners(stack, house, {engine.runner for engine in engines})
        runs: dict[str, Runs] = {}
        for engine in engines:
            runner = runners.get(engine.runner)
            if runner is None:
                engine.failure = f"its runner {engine.runner} cannot be used: see voxgate check, and the log"
                continue
            runs[engine.name] = await _connect(stack, house, engine, runner, links, metrics)
        sweeping = Sweeping(house.store, runs, house.steps, house.metrics, metrics)
        yield Opened(house, at, alone_here=(sweeping.run,))


async def _open_runners(stack: AsyncExitStack, house: House, names: set[str]) -> dict[str, Runner]:
    from proxy.engines.plugin_instances import PluginRequest, open_plugin
    from proxy.engines.upstream_http import open_http

    config = house.config_at_start
    http = await stack.enter_async_context(open_http(config.upstream))
    opened: dict[str, Runner] = {}
    for name in sorted(names):
        asked = PluginRequest("runner", name, config.plugin("runner", name), is_asked_for=True)
        runner = await open_plugin(stack, house.registry, asked, http)
        if runner is not None:
            opened[name] = runner
    return opened


async def _connect(
    stack: AsyncExitStack,
    house: House,
    engine: RemoteEngine,
    runner: Runner,
    links: Links,
    metrics: RunnerMetrics,
) -> Runs:
    """Give an engine its runs, and begin to find out what it has."""
    from proxy.features.runners.engine_runs import RemoteEngineRuns
    from proxy.features.runners.introducing import Introducing
    from proxy.features.runners.runs import Runs

    section = engine.section
    assert section.budget_usd_day is not None, "the configuration was checked"
    of_account = None if section.account_usd_day is None else round(section.account_usd_day * _MICRO)
    most = Ceilings(round(section.budget_usd_day * _MICRO), round(section.job_usd * _MICRO), of_account)
    runs = Runs(house.store, engine.name, engine.runner, runner, most, links, metrics)
    introducing = Introducing(house.store, engine, runs)
    engine.runs = RemoteEngineRuns(engine, runs, house.vault, introducing.note)
    stack.push_async_callback(_stop, asyncio.create_task(_introduce(introducing, house)))
    return runs


async def _introduce(introducing: Introducing, house: House) -> None:
    from proxy.telemetry.background import repeat

    async def turn() -> None:
        await asyncio.sleep(await introducing.turn())

    await repeat("introductions of engines elsewhere", turn, 1.0, house.metrics)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


FEATURE = Feature("runners", _open, tables=TABLES, checks=(ceilings,))
