"""The findings about models: names that their engines lack, and models that a provider will switch off."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime

from policies.retirement import Retirement, find_retirement, parse_day
from proxy.config import model_names
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, ok, wrong
from proxy.config.model_names import STANDARD, ModelsByEngine, models_to_speak, without_dated
from proxy.config.sections import EngineSection, Remark
from proxy.engines.registry import EngineConfigError, Registry, RemoteSpec
from speech_engine import Hosted, Language, ModelInfo
from speech_engine.plugin import KnowsShutdowns

RETIREMENT = "retirement"
_NAME_ANOTHER = "name a model that stays, before or after it in the list"
_HOW_TO_CHECK = "start the server and check again, or let the engine answer with check --live"


def check_models(
    config: Config, registry: Registry, results: ProbeResults, broken_engines: Collection[str]
) -> Iterator[Finding]:
    """Yield a finding for each alias, and each wrong name of a model. `broken_engines` cannot run."""
    known = known_models(config, registry, results)
    faults = [*model_names.find_misnamed(config, known), *find_without_cost(config, known)]
    faulty = {fault.key for fault in faults}
    for alias, names in without_dated(config.models).items():
        if alias not in faulty:
            yield _alias_finding(config, registry, known, broken_engines, alias, names)
    yield from (wrong("model", fault.text, name=fault.key) for fault in faults)


def imported_infos(config: Config, registry: Registry, engine: str) -> tuple[ModelInfo, ...]:
    """Return the models of an engine that has only imported models, else (). Raise EngineConfigError."""
    section = config.engines[engine]
    spec = registry.engine(engine, section, config.data)
    imported = () if isinstance(spec, RemoteSpec) else spec.models
    if not imported:
        return ()
    format_ = registry.plugins("engine")[section.plugin].model_format
    if format_ is not None and format_.names_models:
        return tuple(
            _bare_info(each.manifest.name + variant, each.manifest.languages)
            for each in imported
            for variant in format_.variants
        )
    id_ = model_names.hearing_model(section) if format_ is not None and format_.hears else STANDARD
    return (_bare_info(id_, dict.fromkeys(tag for each in imported for tag in each.manifest.languages)),)


def _bare_info(id_: str, tags: Iterable[str]) -> ModelInfo:
    return ModelInfo(id=id_, languages=tuple(map(Language, tags)), sample_rate_hz=1)  # the rate is not read


def known_models(config: Config, registry: Registry, results: ProbeResults) -> dict[str, Sequence[str]]:
    """Return the models of engines whose settings list them, that answered, or that have imported models."""
    configured = listed_models(config)
    found: dict[str, Sequence[str]] = {}
    for name, section in config.engines.items():
        answered = [info.id for info in results.models.get(name, ())]
        try:
            settings = registry.first_settings(name, section, config.data)
            # A preset lists models, too, in the settings and not in the file.
            by_settings = getattr(settings, "models", None)
            imported = [info.id for info in imported_infos(config, registry, name)]
        except EngineConfigError:
            by_settings, imported = None, []  # the finding of the engine has the reason
        setting_models = list(by_settings) if isinstance(by_settings, tuple | list) else []
        if models := configured.get(name) or setting_models or answered or imported:
            found[name] = models
    return found


def _alias_finding(
    config: Config,
    registry: Registry,
    known: Mapping[str, Sequence[str]],
    broken_engines: Collection[str],
    alias: str,
    names: tuple[str, ...],
) -> Finding:
    engines = {full: full.partition("/")[0] for full in names}
    usable = [full for full, engine in engines.items() if engine not in broken_engines]
    faults = [
        f"{engine}, for {full}, cannot run" for full, engine in engines.items() if engine in broken_engines
    ]
    if not usable:
        return note("model", f"nothing speaks it: {', '.join(faults)}", name=alias)
    unknown = [
        full for full in usable if engines[full] not in known and _may_be_wrong(config, registry, full)
    ]
    if unknown:
        faults.append(f"not checked: whether there is {', '.join(unknown)}")
    found = "; ".join((", ".join(usable), *faults))
    return (
        note("model", found, _HOW_TO_CHECK if unknown else "", name=alias)
        if faults
        else ok("model", found, name=alias)
    )


def _may_be_wrong(config: Config, registry: Registry, full: str) -> bool:
    """Tell whether ENGINE/MODEL needs the engine's answer. `standard` is that of engines with one model."""
    engine, _, model = full.partition("/")
    section: EngineSection = config.engines[engine]
    plugin = registry.plugins("engine").get(section.plugin)
    is_cloud = plugin is not None and not isinstance(plugin.create, Hosted)
    return is_cloud or model != STANDARD


def check_retirements(
    config: Config,
    registry: Registry,
    models: Mapping[str, tuple[ModelInfo, ...]],
    today: date | None = None,
) -> Iterator[Finding]:
    """Yield a finding for each alias or route with a model that ends soon or has ended, and for each engine
    whose faulty settings hide that.

    A missing secret hides no day: the address and the preset tell the provider.
    """
    today = today or datetime.now(UTC).date()
    lists = {
        **{f"alias {alias}": names for alias, names in without_dated(config.models).items()},
        **{f"route {route.language}": route.named_models for route in config.routes},
    }
    for name, full_names in lists.items():
        days = {full: _last_day(config, registry, models, full) for full in full_names}
        if (retirement := find_retirement(days, today)) is not None:
            yield _retirement_finding(name, retirement, today)
    named = dict.fromkeys(full.partition("/")[0] for full_names in lists.values() for full in full_names)
    for engine in named:
        if engine not in models and _is_unreadable(config, registry, engine):
            yield note(RETIREMENT, "not checked: its settings have a fault", "mend its section", name=engine)


def _retirement_finding(name: str, retirement: Retirement, today: date) -> Finding:
    models = ", ".join(
        f"{model} {'ends' if day > today else 'ended'} on {day} ({abs((day - today).days)} days)"
        for model, day in retirement.models
    )
    if retirement.has_ended(today):
        return wrong(RETIREMENT, f"{models}; nothing is left", "name a model that stays", name=name)
    rest = "; nothing is left then" if retirement.ends is not None else ""
    return note(
        RETIREMENT, f"{models}{rest}", _NAME_ANOTHER if retirement.ends is not None else "", name=name
    )


def _last_day(
    config: Config, registry: Registry, models: Mapping[str, tuple[ModelInfo, ...]], full: str
) -> date | None:
    """Return the last day of a model from the running server, else from the settings of its engine."""
    engine, _, id_ = full.partition("/")
    day = next((info.shutdown_date for info in models.get(engine, ()) if info.id == id_), "")
    section = config.engines.get(engine)
    if not day and section is not None:
        with suppress(EngineConfigError):  # `check_retirements` yields a note about it
            settings = registry.first_settings(engine, section, config.data)
            day = settings.shutdown_date(id_) if isinstance(settings, KnowsShutdowns) else ""
    return parse_day(day)


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


def listed_models(config: Config) -> ModelsByEngine:
    """Return the models of the engines whose section lists them."""
    lists = {name: section.settings.get("models") for name, section in config.engines.items()}
    return {name: models for name, models in lists.items() if isinstance(models, list) and models}


def find_without_cost(config: Config, known: ModelsByEngine) -> list[Remark]:
    """Return the models without a cost, of engines with a budget: the budget would not count them."""
    speaking_models = {(engine, model) for engine, models in known.items() for model in models}
    speaking_models |= {
        (engine, model) for _, engine, model in models_to_speak(config) if engine not in known
    }
    return [
        Remark(f"{engine}/{model}", f"{engine}/{model} has no cost: its budget does not see it")
        for engine, model in sorted(speaking_models)
        if _is_unseen(config.engines.get(engine), model)
    ]


def _is_unseen(section: EngineSection | None, model: str) -> bool:
    if section is None or (section.budget_usd_day is None and section.budget_usd_month is None):
        return False
    if section.runner:
        return False  # The runner reports the cost of its work.
    return not section.costs.keys() & {model, "*"}
