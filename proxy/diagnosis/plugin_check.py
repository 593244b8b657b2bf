"""`voxgate check --plugin DIR`: the plugins of a folder, and the contract rules for its engines."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from proxy.config.finding import Finding, ok, wrong
from proxy.config.sections import Config, EngineSection, Upstream
from proxy.engines import plugin_folder, registry
from proxy.engines.http.upstream_http import open_http
from proxy.engines.registry import EngineConfigError, HostedEngineSpec, InProcessSpec, Registry, RemoteSpec
from proxy.hosts.environments import environments
from proxy.hosts.environments.environments import EnvironmentRefused
from speech_engine import Context, Engine, EngineRefreshes, Plugin
from speech_engine.testing import EngineContract
from speech_engine.testing.verdicts import RuleVerdict, verdicts

_TIMEOUT_S = 600.0


def check_plugin(folder: Path, config: Config | None, voice: str | None) -> Iterator[Finding]:
    """Yield a finding for each plugin and each rule. `config` may have settings for the engines."""
    entries = plugin_folder.entries_of(folder)
    loaded = registry.load(entries)
    for entry in entries:
        fault = next((fault for fault in loaded.faults if fault.name == entry.name), None)
        if fault is not None:
            yield wrong("plugin", f"failed at {fault.stage}: {fault.reason}", name=entry.name)
            continue
        plugins = loaded.plugins_of(entry.name)
        names = ", ".join(f"{plugin.kind} {plugin.name}" for plugin in plugins) or "nothing"
        yield ok("plugin", f"gives {names}", name=entry.name)
        engines = [plugin for plugin in plugins if plugin.kind == "engine"]
        configured = [plugin for plugin in engines if _sections_of(plugin, config)]
        for plugin in engines:
            if configured and plugin not in configured:
                # Of several engines in a folder, only the configured engines are tried.
                yield ok("engine", "not tried: the configuration has no section of it", name=plugin.name)
            else:
                yield from _check_engine(folder, loaded, plugin, config, voice)


def _check_engine(
    folder: Path, loaded: Registry, plugin: Plugin[Any], config: Config | None, voice: str | None
) -> Iterator[Finding]:
    name, section = next(iter(_sections_of(plugin, config)), (plugin.name, EngineSection(plugin.name)))
    try:
        spec = loaded.engine(name, section, config.data if config else Config().data)
    except EngineConfigError as error:
        yield wrong("engine", str(error), name=name)
        return
    if isinstance(spec, HostedEngineSpec):
        yield from _check_hosted(folder, spec, voice)
        return
    if isinstance(spec, RemoteSpec):
        yield ok("engine", f"not tried: it works at {spec.place}", name=name)
        return
    upstream = config.upstream if config else Upstream()
    yield from _rule_findings(asyncio.run(_check_in_process(spec, upstream, voice)))


def _sections_of(plugin: Plugin[Any], config: Config | None) -> list[tuple[str, EngineSection]]:
    sections = config.engines.items() if config else ()
    return [(name, section) for name, section in sections if section.plugin == plugin.name]


def _check_hosted(folder: Path, spec: HostedEngineSpec, voice: str | None) -> Iterator[Finding]:
    """Try the engine in its own process, with its environment's Python if that is built."""
    try:
        interpreter, hint = environments.interpreter(spec.section.plugin, spec.hosted), ""
    except EnvironmentRefused as refused:
        # The engine is tried with this Python, because an author may have the packages installed here.
        interpreter, hint = sys.executable, f" ({refused} --plugin {folder})"
    command = [interpreter, "-P", "-m", "speech_engine.testing", spec.module, spec.name]
    process = subprocess.run(
        [*command, *([voice] if voice else [])],
        input=msgspec.json.encode(spec.section.settings),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": plugin_folder.python_path(folder)},
        timeout=_TIMEOUT_S,
        check=False,
    )
    rule_verdicts = [msgspec.json.decode(line, type=RuleVerdict) for line in process.stdout.splitlines()]
    if rule_verdicts and rule_verdicts[-1].broken.startswith("ModuleNotFoundError"):
        rule_verdicts[-1] = RuleVerdict(rule_verdicts[-1].rule, rule_verdicts[-1].broken + hint)
    if process.returncode:
        rule_verdicts.append(
            RuleVerdict("it does not end its process", f"it ended with status {process.returncode}")
        )
    yield from _rule_findings(rule_verdicts)


async def _check_in_process(
    spec: InProcessSpec[Any], upstream: Upstream, voice: str | None
) -> list[RuleVerdict]:
    """Try the engine of each key, with the HTTP client of a server."""
    rule_verdicts: list[RuleVerdict] = []
    async with open_http(upstream) as http:
        context = Context(structlog.get_logger(), http=http, samples=EngineContract.recordings, sockets=http)
        for number, create in enumerate(spec.creators(context), 1):
            of_key = f" (key {number})" if len(spec.settings) > 1 else ""
            async for verdict in verdicts(partial(_open_refreshed, create), voice):
                rule_verdicts.append(RuleVerdict(f"{verdict.rule}{of_key}", verdict.broken))
    return rule_verdicts


@asynccontextmanager
async def _open_refreshed(create: Callable[[], AbstractAsyncContextManager[Engine]]) -> AsyncIterator[Engine]:
    """Open an engine and refresh it, as a server does when it starts."""
    async with create() as engine:
        if isinstance(engine, EngineRefreshes):
            await engine.refresh()
        yield engine


def _rule_findings(rule_verdicts: Iterable[RuleVerdict]) -> Iterator[Finding]:
    for verdict in rule_verdicts:
        if verdict.broken:
            yield wrong("rule", verdict.broken, name=verdict.rule)
        else:
            yield ok("rule", "kept", name=verdict.rule)
