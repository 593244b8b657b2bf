"""[models]: what clients may ask for, and which models of the configured engines stand for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from proxy.config.reader import Reader
from proxy.config.sections import EngineSection

Engines = Mapping[str, EngineSection]


def read_models(reader: Reader, value: object, engines: Engines) -> dict[str, tuple[str, ...]]:
    models: dict[str, tuple[str, ...]] = {}
    for alias, listed in reader.table(value, "models").items():
        key = f"models.{alias}"
        names = [listed] if isinstance(listed, str) else listed
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            reader.fault(key, 'must be a list of models, ["engine/model"]')
            continue
        for name in names:
            _check_model(reader, key, name, engines)
        models[alias] = tuple(name for name in names if name.partition("/")[0] in engines)
    return {alias: names for alias, names in models.items() if names}


def shipped_models(value: Mapping[str, Any], engines: Engines) -> dict[str, tuple[str, ...]]:
    """Those of ours whose engine is there."""
    return read_models(Reader("defaults"), dict(value), engines)


def _check_model(reader: Reader, key: str, name: str, engines: Engines) -> None:
    engine, slash, model = name.partition("/")
    if not slash or not model:
        reader.fault(key, f'{name!r} must be written "engine/model"')
    elif engine not in engines:
        reader.fault(key, f"{name!r}: no [engines.{engine}] here; known: {', '.join(engines) or 'none'}")
