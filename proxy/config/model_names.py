"""Read [models], and compare all keys that name models with the models that exist."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from proxy.config.reader import Reader, did_you_mean
from proxy.config.sections import Config, EngineSection, Remark

Engines = Mapping[str, EngineSection]
ModelsByEngine = Mapping[str, Sequence[str]]
"""An engine's models, for each engine that can say which it has."""
T = TypeVar("T")

_DATE = re.compile(r"-(1106|\d{4}-\d\d-\d\d)\Z")

STANDARD = "standard"
"""The model of an engine with only one model."""


def hearing_model(section: EngineSection) -> str:
    """Return the name of an engine's imported model that hears, or "". Without its plugin's name before it:
    `whisper-base` is `whisper/base`."""
    return section.model.removeprefix(f"{section.plugin}-")


def with_dated(models: Mapping[str, T], names: Iterable[str]) -> dict[str, T]:
    """Return the models, and those dated `names` that they lack, with the candidates of the short name."""
    lacking = [name for name in names if name not in models and _short_name(name) in models]
    return {**models, **{name: models[_short_name(name)] for name in lacking}}


def without_dated(models: Mapping[str, T]) -> dict[str, T]:
    """Return the models without the dated names that have the candidates of the short name."""
    return {
        name: each
        for name, each in models.items()
        if (short := _short_name(name)) == name or models.get(short) != each
    }


def _short_name(name: str) -> str:
    return _DATE.sub("", name)


def read_models(reader: Reader, value: object, engines: Engines) -> dict[str, tuple[str, ...]]:
    models: dict[str, tuple[str, ...]] = {}
    for alias, entry in reader.table(value, "models").items():
        key = f"models.{alias}"
        names = [entry] if isinstance(entry, str) else entry
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            reader.fault(key, 'must be a list of models, ["engine/model"]')
            continue
        for name in names:
            _check_model(reader, key, name, engines)
        models[alias] = tuple(name for name in names if name.partition("/")[0] in engines)
    return {alias: names for alias, names in models.items() if names}


def put_defaults_first(
    models: Mapping[str, tuple[str, ...]], shipped: Mapping[str, Sequence[str]], engines: Engines
) -> dict[str, tuple[str, ...]]:
    """Put the engines with `default = true` first in each unchanged built-in alias."""
    first = tuple(f"{name}/{STANDARD}" for name, section in engines.items() if section.default)
    unchanged = {
        alias: names
        for alias, listed in shipped.items()
        if models.get(alias, ()) == (names := tuple(n for n in listed if n.partition("/")[0] in engines))
    }
    return {
        **models,
        **{alias: tuple(dict.fromkeys(first + names)) for alias, names in unchanged.items() if first},
    }


def _check_model(reader: Reader, key: str, name: str, engines: Engines) -> None:
    engine, slash, model = name.partition("/")
    if not slash or not model:
        reader.fault(key, f'{name!r} must be written "engine/model"')
    elif engine not in engines:
        reader.fault(key, f"{name!r}: no [engines.{engine}] here; known: {', '.join(engines) or 'none'}")


CLONE = "clone"
"""The key in `costs` for making a voice at the provider. It stands where models stand, but is none."""


def find_misnamed(config: Config, known: ModelsByEngine) -> list[Remark]:
    """Return the wrong names of models, each by its alias, or by the key of its route, cost or price."""
    return [
        Remark(
            where,
            f"{engine} has no model of {f'{engine}/{model}'!r}; {did_you_mean(model, known[engine])}",
        )
        for where, engine, model in _all_named_models(config)
        if known.get(engine) and model not in known[engine]
    ]


def _all_named_models(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield the key of the file, the engine and the model of each name."""
    yield from models_to_speak(config)
    for engine, section in config.engines.items():
        for model in section.costs.keys() - {"*", CLONE}:
            yield f"engines.{engine}.costs.{model}", engine, model
    for plan in config.plans.values():
        for full_name in plan.prices.models:
            engine, slash, model = full_name.partition("/")
            if slash:
                yield f"plans.{plan.name}.prices.models.{full_name}", engine, model


def models_to_speak(config: Config) -> Iterator[tuple[str, str, str]]:
    """Yield the key of the file, the engine and the model of each name in aliases and the operator's
    routes."""
    operator_routes = [route for route in config.routes if not route.is_shipped]
    routes = {f"routes.{route.language}": route.named_models for route in operator_routes}
    for where, full_names in (*without_dated(config.models).items(), *routes.items()):
        for full_name in full_names:
            engine, slash, model = full_name.partition("/")
            if slash:
                yield where, engine, model
