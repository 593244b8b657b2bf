"""`voxgate check`: what a configuration would serve, and what is wrong with it, without starting anything."""

from __future__ import annotations

from typing import Any

import msgspec

from policies.plans import Plan
from policies.price import Price, in_credits
from policies.routing import Route
from proxy import limits_address, model_names
from proxy.config import Config
from proxy.engines.environments import EnvironmentRefused, interpreter
from proxy.engines.registry import EngineConfigError, HostedEngineSpec, Opened, Registry
from proxy.reading.routes import missing_engines
from proxy.sections import PluginSection
from proxy.storage import address


class Finding(msgspec.Struct, frozen=True):
    """One line of the answer. `ok` is false for what an operator has to mend, `is_warning` true for what
    should be known of the rest."""

    kind: str
    name: str
    ok: bool
    note: str
    is_warning: bool = False

    def plain(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)


def check_config(config: Config, registry: Registry) -> list[Finding]:
    findings = [Finding("config", config.source, True, f"data in {config.data}")]
    findings += _server(config)
    findings += [
        Finding("plugin", fault.name, False, f"failed at {fault.stage}: {fault.reason}")
        for fault in registry.faults
    ]
    findings += [_engine(config, registry, name) for name in config.engines]
    findings += [Finding("plan", plan.name, True, _plan(plan)) for plan in config.plans.values()]
    findings += _models(config)
    findings += [_route(config, registry, route) for route in config.routes]
    findings += _settings(config, registry)
    findings += [_default(config.models, "default_model", config.server.default_model)]
    findings += [_default(config.voices, "default_voice", config.server.default_voice)]
    findings += [
        Finding("voice", remark.key, True, remark.text, is_warning=True)
        for remark in config.warnings
        if remark.key.startswith("voices.")
    ]
    findings += [
        Finding("lexicon", name, True, f"{len(words)} word(s)") for name, words in config.lexicons.items()
    ]
    count = len(config.voices)
    return [*findings, Finding("voices", f"{count}", True, ", ".join(config.voices) or "none of our own")]


def _server(config: Config) -> list[Finding]:
    server = config.server
    kept = f"usage is kept for {server.usage_days} days" if server.usage_days else "usage is kept for good"
    return [
        Finding("address", f"{server.host}:{server.port}", True, f"{server.workers} worker(s)"),
        Finding("storage", address.shown(config.storage.url), True, kept),
        Finding("limits", limits_address.shown(config.limits.url), True, "where requests are counted"),
        Finding("metrics", server.metrics or "none", True, "Prometheus text" if server.metrics else ""),
    ]


def _models(config: Config) -> list[Finding]:
    """Only what sections list can be known here: of other engines' models /readyz speaks when they run."""
    known = model_names.listed(config)
    faults = [*model_names.misnamed(config, known), *model_names.without_cost(config, known)]
    wrong = {fault.where for fault in faults}
    well = {alias: names for alias, names in config.models.items() if alias not in wrong}
    return [
        *(Finding("model", alias, True, ", ".join(names)) for alias, names in well.items()),
        *(Finding("model", fault.where, False, fault.reason) for fault in faults),
    ]


def _route(config: Config, registry: Registry, route: Route) -> Finding:
    """A route never stops anything: whatever of it is not there is passed over."""
    missing = missing_engines(route, config.engines)
    warnings = [f"no [engines.{engine}] for {full}" for full, engine in missing.items()]
    there = [full for full in route.candidates if full not in missing]
    if missing and not there:
        return Finding("route", route.language, True, f"not used: {', '.join(warnings)}", is_warning=True)
    if route.front_end is not None and route.front_end not in registry.plugins("front_end"):
        warnings.append(f"the front_end {route.front_end} is not installed, so plain prepares its texts")
    if route.voice is not None and route.voice not in config.voices and "/" not in route.voice:
        warnings.append(f"there is no voice {route.voice!r} here")
    speaks = ", ".join(there) or "whoever the request names"
    return Finding("route", route.language, True, "; ".join((speaks, *warnings)), is_warning=bool(warnings))


def _settings(config: Config, registry: Registry) -> list[Finding]:
    """[front_ends] and [detectors]: what is wrong with their settings, or with their names."""
    findings = []
    sections: list[tuple[Opened, str, PluginSection]] = [
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
    kinds = {kind: getattr(plan.prices, kind) for kind in ("speech", "conversion", "cached", "training")}
    allowance = in_credits(plan.allowance) if isinstance(plan.allowance, int) else plan.allowance
    parts = [
        plan.price or "free",
        f"allowance {_limit(allowance)}",
        f"rpm {_limit(plan.rpm)}",
        f"streams {_limit(plan.streams)}",
        *(f"{what} {_price(price)}" for what, price in {**kinds, **plan.prices.models}.items()),
    ]
    return ", ".join(parts)


def _limit(limit: int | str | None) -> str:
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
