"""The wiring of rented machines: the objects, endpoints and tasks that live as long as a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from proxy.engines.http.upstream_http import open_http
from proxy.engines.plugin_instances import PluginRequest, open_plugin
from proxy.engines.remote_engine import RemoteEngine
from proxy.feature import AppContext
from proxy.features.jobs.kinds.training.on_runners import TrainingsOnRunners
from proxy.features.jobs.remote.engine_runs import RemoteEngineRuns
from proxy.features.jobs.remote.introducing import Introducing
from proxy.features.jobs.remote.links import Links, SampleEndpoint, TrainingEndpoint
from proxy.features.jobs.remote.records import Ceilings
from proxy.features.jobs.remote.runs import RunnerMetrics, Runs
from proxy.features.jobs.remote.sweeping import Sweeping
from proxy.file_store.vault import Vault
from proxy.http.endpoint import Endpoint
from proxy.telemetry.background import RepeatingTask
from speech_engine.runner import Runner

_MICRO_USD = 1_000_000


class OpenRemote(NamedTuple):
    """What rented machines add to a worker. `lone_tasks` run in one worker of the server. Without machines,
    there are only the links."""

    links: Links
    endpoints: Sequence[Endpoint] = ()
    lone_tasks: Sequence[Callable[[], Coroutine[None, None, None]]] = ()


@asynccontextmanager
async def open_remote(context: AppContext, trainings: TrainingsOnRunners) -> AsyncIterator[OpenRemote]:
    assert context.engines is not None, "a command rents no machines"
    metrics = RunnerMetrics(context.metrics.registry)
    links = Links(context.find(Vault), context.config_at_start.server.public_url)
    engines = context.engines.remote_engines()
    if not engines:
        yield OpenRemote(links)
        return
    sample_endpoint = SampleEndpoint(context.store, links, {engine.name: engine for engine in engines})
    training_endpoint = TrainingEndpoint(context.store, links, trainings)
    async with AsyncExitStack() as stack:
        runners = await _open_runners(stack, context, {engine.runner for engine in engines})
        runs: dict[str, Runs] = {}
        for engine in engines:
            runner = runners.get(engine.runner)
            if runner is None:
                engine.failure = f"its runner {engine.runner} cannot be used: see voxgate check, and the log"
                continue
            runs[engine.name] = await _connect(stack, context, engine, runner, links, metrics, trainings)
        sweeping = Sweeping(context.store, runs, context.metrics, metrics)
        yield OpenRemote(links, [*sample_endpoint.endpoints, *training_endpoint.endpoints], (sweeping.run,))


async def _open_runners(stack: AsyncExitStack, context: AppContext, names: set[str]) -> dict[str, Runner]:
    config = context.config_at_start
    http = await stack.enter_async_context(open_http(config.upstream))
    opened: dict[str, Runner] = {}
    for name in sorted(names):
        request = PluginRequest("runner", name, config.plugin("runner", name), is_required=True)
        runner = await open_plugin(stack, context.registry, request, http)
        if runner is not None:
            opened[name] = runner
    return opened


async def _connect(
    stack: AsyncExitStack,
    context: AppContext,
    engine: RemoteEngine,
    runner: Runner,
    links: Links,
    metrics: RunnerMetrics,
    trainings: TrainingsOnRunners,
) -> Runs:
    section = engine.section
    assert section.budget_usd_day is not None, "the configuration was checked"
    account_usd = section.account_usd_day
    ceilings = Ceilings(
        day_micro_usd=round(section.budget_usd_day * _MICRO_USD),
        job_micro_usd=round(section.job_usd * _MICRO_USD),
        account_micro_usd=None if account_usd is None else round(account_usd * _MICRO_USD),
    )
    runs = Runs(context.store, engine.name, engine.runner, runner, ceilings, links, metrics)
    introducing = Introducing(context.store, engine, runs)
    engine_runs = RemoteEngineRuns(engine, runs, context.find(Vault), introducing.note_hello)
    engine.runs = trainings.runs[engine.name] = engine_runs

    async def introduce_and_wait() -> None:
        await asyncio.sleep(await introducing.introduce_engine())

    task = RepeatingTask("introductions of engines elsewhere", introduce_and_wait, 1.0, context.metrics)
    stack.push_async_callback(task.aclose)
    return runs
