"""Work on rented machines, wired: what lives as long as a worker, and what each revision adds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.remote_engine import RemoteEngine
from proxy.engines.upstream_http import open_http
from proxy.feature import House
from proxy.features.jobs.kinds.training.elsewhere import TrainingsElsewhere
from proxy.features.jobs.remote.engine_runs import RemoteEngineRuns
from proxy.features.jobs.remote.introducing import Introducing
from proxy.features.jobs.remote.links import Links
from proxy.features.jobs.remote.metrics import RunnerMetrics
from proxy.features.jobs.remote.records import Ceilings
from proxy.features.jobs.remote.runs import Runs
from proxy.features.jobs.remote.sample_door import SampleDoor
from proxy.features.jobs.remote.sweeping import Sweeping
from proxy.features.jobs.remote.training_door import TrainingDoor
from proxy.http.endpoint import Endpoint
from proxy.telemetry.background import repeat
from speech_engine.runner import Runner

_MICRO = 1_000_000


class OpenRemote(NamedTuple):
    """The rented machines of one worker, which may have none."""

    links: Links
    endpoints: Sequence[Endpoint] = ()
    alone_here: Sequence[Callable[[], Coroutine[None, None, None]]] = ()


@asynccontextmanager
async def open_remote(house: House, trainings: TrainingsElsewhere) -> AsyncIterator[OpenRemote]:
    """Give each engine at a runner its runs."""
    assert house.engines is not None, "a command rents no machines"
    metrics = RunnerMetrics(house.metrics.registry)
    links = Links(house.vault, house.config_at_start.server.public_url)
    engines = house.engines.remote()
    if not engines:
        yield OpenRemote(links)
        return
    samples = SampleDoor(house.store, links, {engine.name: engine for engine in engines})
    door = TrainingDoor(house.store, links, trainings)
    async with AsyncExitStack() as stack:
        runners = await _open_runners(stack, house, {engine.runner for engine in engines})
        runs: dict[str, Runs] = {}
        for engine in engines:
            runner = runners.get(engine.runner)
            if runner is None:
                engine.failure = f"its runner {engine.runner} cannot be used: see voxgate check, and the log"
                continue
            runs[engine.name] = await _connect(stack, house, engine, runner, links, metrics)
        sweeping = Sweeping(house.store, runs, house.metrics, metrics)
        yield OpenRemote(links, [*samples.endpoints, *door.endpoints], (sweeping.run,))


async def _open_runners(stack: AsyncExitStack, house: House, names: set[str]) -> dict[str, Runner]:
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
    async def turn() -> None:
        await asyncio.sleep(await introducing.turn())

    await repeat("introductions of engines elsewhere", turn, 1.0, house.metrics)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
