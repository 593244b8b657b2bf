"""Finds the engines that use an imported model, and the lines of configuration that let one use it."""

from __future__ import annotations

import json
from collections.abc import Iterator

from proxy.commands.tables import Line
from proxy.config.sections import Config
from proxy.engines import registry
from proxy.engines.engine_models import strictest_licence
from proxy.hosts.stored_models import model_names, with_models
from speech_engine.licences import terms_of
from speech_engine.model_files import ModelFormat, ModelManifest, UnusableModel


def sections_naming(config: Config, name: str) -> list[str]:
    """Return the sections that name a model. An engine that uses all models does not name it."""
    return [
        f"engines.{engine}"
        for engine in engines_using(config, name)
        if config.engines[engine].model == name
        or any(
            isinstance(value, list) and name in value for value in config.engines[engine].settings.values()
        )
    ]


def engines_using(config: Config, name: str) -> list[str]:
    formats = _formats()
    return [
        engine
        for engine, section in config.engines.items()
        if name in model_names(section, formats.get(section.plugin), config.data)
    ]


def next_steps(config: Config, manifest: ModelManifest, is_new: bool) -> Iterator[Line]:
    """Yield the remaining steps until an imported model is in use. `is_new`: the import added files."""
    plugin, name = manifest.engine, manifest.name
    engines = engines_using(config, name)
    if not engines:
        yield from _section_to_write(config, plugin, name, manifest.bound_by)
    warnings = [line for engine in engines for line in _licence_warnings(config, engine, plugin)]
    if is_new and engines and not warnings:
        restarts = ", ".join(f"voxgate engines restart {engine}" for engine in engines)
        yield Line(f"A running server speaks with it after: {restarts}")
    yield from warnings


def licence_notes(config: Config, plugin: str, name: str, licence: str) -> Iterator[Line]:
    """Yield warnings for engines that use all models of a plugin: the licence of a new model would count for
    all their voices."""
    terms, format_ = terms_of(licence), _formats().get(plugin)
    if format_ is None or not format_.listed_in or (terms.paid_use and not terms.must_accept):
        return
    for engine, section in config.engines.items():
        if section.plugin != plugin or section.model or section.settings.get(format_.listed_in):
            continue
        try:
            _, models = with_models(section, format_, config.data)
        except UnusableModel:
            continue  # it does not run now
        there = [model.manifest for model in models]
        if not there or any(each.bound_by.casefold() == licence.casefold() for each in there):
            continue
        names = json.dumps([each.name for each in there])
        yield Line(
            f"[engines.{engine}] takes every model of {plugin}, so from its next start {licence} counts for "
            f"all its voices: {terms.says}. To keep {name} apart, write {format_.listed_in} = {names} there.",
            "yellow",
        )


def _section_to_write(config: Config, plugin: str, name: str, licence: str) -> Iterator[Line]:
    format_ = _formats().get(plugin)
    listed_in = format_.listed_in if format_ else ""
    sections = [engine for engine, section in config.engines.items() if section.plugin == plugin]
    if sections:
        there = config.engines[sections[0]].settings.get(listed_in)
        listed = [*there, name] if isinstance(there, list) else [name]
        yield Line(f"An engine speaks with it after a restart, and this in [engines.{sections[0]}]:")
        yield Line(f"{listed_in} = {json.dumps(listed)}" if listed_in else f'model = "{name}"')
    else:
        yield Line("An engine speaks with it after a restart, and these lines in the configuration:")
        yield Line(f"[engines.{plugin}]")
        yield Line("default = true" if listed_in else f'model = "{name}"')
    if terms_of(licence).must_accept:
        yield Line(f'accept_licence = "{licence}"  # after you have read it')


def _licence_warnings(config: Config, engine: str, plugin: str) -> Iterator[Line]:
    """Yield warnings if an engine will not start: the strictest licence of its models counts for all, and is
    not accepted."""
    section, format_ = config.engines[engine], _formats().get(plugin)
    try:
        _, models = with_models(section, format_, config.data)
        licence = strictest_licence(models)
    except UnusableModel as fault:
        yield Line(f"{engine} cannot start again: {fault}.", "yellow")
        return
    if not terms_of(licence).must_accept or section.accept_licence.casefold() == licence.casefold():
        return
    licences = {model.manifest.name: model.manifest.bound_by for model in models}
    bound = [name for name, each in licences.items() if each.casefold() == licence.casefold()]
    free = [name for name in licences if name not in bound]
    yield Line(
        f"{engine} speaks for nobody after its next start: {', '.join(bound)} is under {licence}, and that "
        "counts for all its models.",
        "yellow",
    )
    accept = f'accept_licence = "{licence}"  # after you have read it'
    yield Line(f"Write this in [engines.{engine}]:")
    yield Line(accept)
    if free and format_ is not None:
        yield Line(f"Or keep {', '.join(bound)} apart:")
        yield Line(f"[engines.{engine}]")
        yield Line(f"{format_.listed_in} = {json.dumps(free)}")
        yield Line(f"[engines.{engine}-{bound[0]}]")
        yield Line(f'plugin = "{plugin}"')
        yield Line(f"{format_.listed_in} = {json.dumps(bound)}")
        yield Line(accept)


def _formats() -> dict[str, ModelFormat | None]:
    return {name: plugin.model_format for name, plugin in registry.load().plugins("engine").items()}
