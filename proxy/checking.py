"""`voxgate check`: what a configuration would serve, and what is wrong with it, without starting anything."""

from __future__ import annotations

from typing import Any

import msgspec

from proxy.config import Config
from proxy.engines.environments import EnvironmentRefused, interpreter
from proxy.engines.registry import EngineConfigError, HostedEngineSpec, Registry


class Finding(msgspec.Struct, frozen=True):
    """One line of the answer. `ok` is false for what an operator has to mend."""

    kind: str
    name: str
    ok: bool
    note: str

    def plain(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


def check_config(config: Config, registry: Registry) -> list[Finding]:
    findings = [Finding("config", config.source, True, f"data in {config.data}")]
    findings += [
        Finding("plugin", fault.name, False, f"failed at {fault.stage}: {fault.reason}")
        for fault in registry.faults
    ]
    findings += [_engine(config, registry, name) for name in config.engines]
    findings += [Finding("model", alias, True, ", ".join(names)) for alias, names in config.models.items()]
    findings += [_default(config.models, "default_model", config.server.default_model)]
    findings += [_default(config.voices, "default_voice", config.server.default_voice)]
    count = len(config.voices)
    return [*findings, Finding("voices", f"{count}", True, ", ".join(config.voices) or "none of our own")]


def _engine(config: Config, registry: Registry, name: str) -> Finding:
    section = config.engines[name]
    try:
        spec = registry.engine(name, section)
    except EngineConfigError as error:
        return Finding("engine", name, False, str(error))
    if isinstance(spec, HostedEngineSpec):
        return _hosted(spec)
    return Finding("engine", name, True, f"{section.plugin}, in the server")


def _hosted(spec: HostedEngineSpec) -> Finding:
    plugin = spec.section.plugin
    try:
        interpreter(plugin, spec.hosted)
    except EnvironmentRefused as refused:
        return Finding("engine", spec.name, False, str(refused))
    return Finding("engine", spec.name, True, f"{plugin}, in {spec.section.processes} host process(es)")


def _default(known: Any, key: str, name: str) -> Finding:
    if name in known or "/" in name:
        return Finding("default", key, True, name)
    return Finding(
        "default", key, False, f"server.{key}: {name!r} is not configured; /readyz will say unready"
    )
