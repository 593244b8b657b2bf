"""`voxgate check`: what a configuration would serve, and what is wrong with it, without starting anything."""

from __future__ import annotations

from typing import Any

from policies.limits import AGREEABLE
from policies.plans import Plan
from policies.price import Price, in_credits
from proxy.config import limits_address, model_names, storage_address
from proxy.config.config_toml import Config
from proxy.config.credits import shown_limits
from proxy.config.sections import PluginSection
from proxy.diagnosis import text_check
from proxy.diagnosis.finding import Finding
from proxy.diagnosis.probes import ProbeResults
from proxy.engines.environments import EnvironmentRefused, interpreter
from proxy.engines.registry import EngineConfigError, HostedEngineSpec, InstanceKind, Registry


def check_config(config: Config, registry: Registry, told: ProbeResults = ProbeResults()) -> list[Finding]:  # noqa: B008 - frozen
    """With what was `told`, also whether names of models and voices, which only engines know, are right."""
    findings = [Finding("config", config.source, True, f"data in {config.data}")]
    findings += _server(config)
    findings += [
        Finding("plugin", fault.name, False, f"failed at {fault.stage}: {fault.reason}")
        for fault in registry.faults
    ]
    findings += [_engine(config, registry, name) for name in config.engines]
    findings += [Finding("plan", plan.name, True, _plan(plan)) for plan in config.plans.values()]
    findings += _models(config, told)
    findings += text_check.routes(config, registry, told)
    findings += _settings(config, registry)
    findings += [_default(config.models, "default_model", config.server.default_model)]
    findings += [_default(config.voices, "default_voice", config.server.default_voice)]
    findings += text_check.voices(config, told)
    findings += [*text_check.lexicons(config), text_check.cache(config)]
    count = len(config.voices)
    return [*findings, Finding("voices", f"{count}", True, ", ".join(config.voices) or "none of our own")]


def _server(config: Config) -> list[Finding]:
    server = config.server
    kept = f"usage is kept for {server.usage_days} days" if server.usage_days else "usage is kept for good"
    return [
        Finding("address", f"{server.host}:{server.port}", True, f"{server.workers} worker(s)"),
        Finding("storage", storage_address.shown(config.storage.url), True, kept),
        Finding("limits", limits_address.shown(config.limits.url), True, "where requests are counted"),
        Finding("metrics", server.metrics or "none", True, "Prometheus text" if server.metrics else ""),
    ]


def _models(config: Config, told: ProbeResults) -> list[Finding]:
    """What sections list, and engines have told: of others' models /readyz speaks when they run."""
    asked = {engine: [info.id for info in infos] for engine, infos in told.models.items()}
    known = {**asked, **model_names.listed(config)}
    faults = [*model_names.misnamed(config, known), *model_names.without_cost(config, known)]
    wrong = {fault.where for fault in faults}
    well = {alias: names for alias, names in config.models.items() if alias not in wrong}
    return [
        *(Finding("model", alias, True, ", ".join(names)) for alias, names in well.items()),
        *(Finding("model", fault.where, False, fault.reason) for fault in faults),
    ]


def _settings(config: Config, registry: Registry) -> list[Finding]:
    """[front_ends] and [detectors]: what is wrong with their settings, or with their names."""
    findings = []
    sections: list[tuple[InstanceKind, str, PluginSection]] = [
        *(("front_end", name, section) for name, section in config.front_ends.items()),
        *(("detector", name, section) for name, section in config.detectors.items()),
    ]
    for kind, name, section in sections:
        try:
            registry.settings(kind, name, section)
            findings.append(Finding(kind, name, True, f"{len(section.settings)} setting(s)"))
        except EngineConfigError as error:
            findings.append(Finding(kind, name, False, str(error)))
    detector = config.server.detector
    if detector and detector not in registry.plugins("detector"):
        note = f"server.detector: {detector} is not installed; only a text's script tells its language"
        findings.append(Finding("detector", detector, True, note, is_warning=True))
    return findings


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


def _plan(plan: Plan) -> str:
    prices = {"speech": plan.prices.speech, "cached": plan.prices.cached, **plan.prices.models}
    parts = [
        plan.price or "free",
        *(f"{name} {_limit(limit)}" for name, limit in shown_limits(plan, AGREEABLE).items()),
        *(f"{what} {_price(price)}" for what, price in prices.items()),
    ]
    return ", ".join(parts)


def _limit(limit: float | str | None) -> str:
    if limit is None:
        return "unlimited"
    return "per account" if limit == "account" else str(limit)


def _price(price: Price) -> str:
    return f"{in_credits(price.micro)}/{price.per}" if price.micro else "free"


def _default(known: Any, key: str, name: str) -> Finding:
    if name in known or "/" in name:
        return Finding("default", key, True, name)
    return Finding(
        "default", key, False, f"server.{key}: {name!r} is not configured; /readyz will say unready"
    )
