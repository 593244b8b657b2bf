"""`voxgate check` and `voxgate doctor`: aliases and routes whose models a provider will switch off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

from policies.retirement import Retirement, find_retirement, parse_day
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, wrong
from proxy.engines.registry import EngineConfigError, Registry
from speech_engine import ModelInfo
from speech_engine.plugin import KnowsShutdowns

WHAT = "retirement"

_DO = "name a model that stays, before or after it in the list"


def retirements(
    config: Config,
    registry: Registry,
    models: Mapping[str, tuple[ModelInfo, ...]],
    today: date | None = None,
) -> Iterator[Finding]:
    """Yield a finding for each list with a model that ends soon or has ended, and for silent engines.

    A missing secret hides no day: the address and the preset tell the provider.
    """
    today = today or datetime.now(UTC).date()
    lists = {
        **{f"alias {alias}": names for alias, names in config.models.items()},
        **{f"route {route.language}": route.named_models for route in config.routes},
    }
    for name, full_names in lists.items():
        days = {full: _last_day(config, registry, models, full) for full in full_names}
        if (retirement := find_retirement(days, today)) is not None:
            yield _finding(name, retirement, today)
    named = dict.fromkeys(full.partition("/")[0] for full_names in lists.values() for full in full_names)
    for engine in named:
        if engine not in models and _is_unreadable(config, registry, engine):
            yield note(WHAT, "not checked: its settings have a fault", "mend its section", name=engine)


def _finding(name: str, retirement: Retirement, today: date) -> Finding:
    ends = ", ".join(
        f"{model} {'ends' if day > today else 'ended'} on {day} ({abs((day - today).days)} days)"
        for model, day in retirement.models
    )
    if retirement.has_ended(today):
        return wrong(WHAT, f"{ends}; nothing is left", "name a model that stays", name=name)
    rest = "; nothing is left then" if retirement.ends is not None else ""
    return note(WHAT, f"{ends}{rest}", _DO if retirement.ends is not None else "", name=name)


def _last_day(
    config: Config, registry: Registry, models: Mapping[str, tuple[ModelInfo, ...]], full: str
) -> date | None:
    """Return the last day of a model: as the running server knows it, or else its settings."""
    engine, _, id_ = full.partition("/")
    known = next((info.shutdown_date for info in models.get(engine, ()) if info.id == id_), "")
    return parse_day(known or _day_by_settings(config, registry, engine, id_))


def _day_by_settings(config: Config, registry: Registry, engine: str, model: str) -> str:
    section = config.engines.get(engine)
    if section is None:
        return ""
    try:
        settings = registry.first_settings(engine, section, config.data)
    except EngineConfigError:
        return ""  # _is_unreadable tells of it
    return settings.shutdown_date(model) if isinstance(settings, KnowsShutdowns) else ""


def _is_unreadable(config: Config, registry: Registry, engine: str) -> bool:
    """Tell whether an engine would know the last days of its models, but its settings have a fault."""
    section = config.engines.get(engine)
    plugin = registry.plugins("engine").get(section.plugin) if section is not None else None
    if section is None or plugin is None or not issubclass(plugin.settings, KnowsShutdowns):
        return False
    try:
        registry.first_settings(engine, section, config.data)
    except EngineConfigError:
        return True
    return False
