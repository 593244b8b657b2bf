"""The entry of the feature models in the list of feature_list.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from proxy.config.finding import Finding, ProbeResults, note, ok
from proxy.config.sections import Config
from proxy.engines.engine_models import StoredModel
from proxy.engines.registry import Registry
from proxy.feature import Additions, AppContext, BackedUp, Feature, FeatureInstance, RevisionContext
from proxy.features.models.natural import FILE, settings_in
from proxy.hosts.stored_models import ModelStore
from proxy.telemetry.background import RepeatingTask

_LOOK_S = 1.0


@asynccontextmanager
async def _open(context: AppContext) -> AsyncIterator[FeatureInstance]:
    if context.engines is None:  # a command without engines suggests no models
        yield FeatureInstance(context)
        return
    from proxy.features.models.fetch_note import FetchWatch
    from proxy.features.models.late_engines import LateEngines
    from proxy.features.models.listing import open_galleries
    from proxy.features.models.own_endpoints import OwnVoicesFetch, end_fetches

    running: set[asyncio.subprocess.Process] = set()

    def additions_for(revision: RevisionContext) -> Additions:
        return Additions(OwnVoicesFetch(revision.admin_tools, context.registry, running).endpoints)

    context.engines.late = late = LateEngines(context.engines.__getitem__)
    watch = FetchWatch(context.engines, context.config_at_start)
    context = context._replace(model_command_for=open_galleries(context.registry).command_for)
    looking = RepeatingTask("look at a fetch", watch.show_progress, _LOOK_S, context.metrics)
    async with aclosing(late), aclosing(looking):
        yield FeatureInstance(context, additions_for)
        await end_fetches(running)


def _natural_findings(config: Config, *_found: object) -> Iterator[Finding]:
    """Yield a finding about the sections from natural.toml, and a note for each that has no effect."""
    for remark in config.warnings:
        if remark.key == FILE:
            yield note("config", remark.text, "run voxgate voices natural, or delete it", name=remark.key)
    if config.natural:
        file = str(Path(config.data) / FILE)
        yield ok("config", f"{', '.join(config.natural)}: beneath your own file", name=file)


def _older_voices(config: Config, _registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    """Yield a note for each engine whose model is not supported any more, or without kokoro's stand-in."""
    from proxy.features.models.natural_voices import FORMER_MODEL, STAND_IN

    has_stand_in = any(section.plugin == STAND_IN for section in config.engines.values())
    for name, section in config.engines.items():
        is_ours = f"engines.{name}" in config.natural
        if is_ours and section.plugin == "kokoro" and section.model != FORMER_MODEL and not has_stand_in:
            found = f"{STAND_IN} would speak English where it is late"
            yield note("engine", found, "run voxgate voices natural", name=name)
        if section.model == FORMER_MODEL:
            do = "voices natural" if is_ours else "models pull kokoro-voices, and name that as its model"
            found = f"the voices of {FORMER_MODEL} speak no more"
            yield note("engine", found, f"run voxgate {do}", name=name)


def _robot(config: Config, *_found: object) -> Iterator[Finding]:
    if {section.plugin for section in config.engines.values()} == {"espeak"}:
        yield note("voices", "speech is a robot's", "run voxgate voices natural", name="espeak")


def _terms(config: Config, *_found: object) -> Iterator[Finding]:
    """Tell who agreed to the terms of the stored models, and name those to whose terms nobody has agreed."""
    from proxy.engines import registry
    from proxy.features.models.first_voices import find_unagreed, unagreed_command
    from proxy.features.models.listing import open_galleries
    from proxy.features.models.natural_file import read_layer
    from proxy.features.models.pulling import find_agreement

    store = ModelStore(config.data)
    stored = {model.manifest.name for model in store.every() if isinstance(model, StoredModel)}
    with_terms = [each for each in open_galleries(registry.load()).listed if each.entry.terms]
    for each in (each for each in with_terms if each.name in stored):
        if agreement := find_agreement(store, each):
            yield ok("terms", f"{each.name}: {agreement.by} agreed on {agreement.at[:10]}", name=each.name)
        else:
            do = f"read them at {each.entry.terms_page}, and run {each.command}"
            yield note("terms", f"{each.name}: nobody has agreed to its terms", do, name=each.name)
    for each in find_unagreed(config, registry.load(), read_layer(config)):
        if each.name not in stored:
            found = f"{each.name} is lost, and with it the agreement to its terms"
            yield note("terms", found, unagreed_command(each), name=each.name)


FEATURE = Feature(
    "models",
    _open,
    paths=("/admin/own_voices",),
    backed_up=(BackedUp(FILE, 1024 * 1024, settings_in=settings_in),),
    checks=(_natural_findings, _older_voices, _robot),
    doctor=(("voices", _robot), ("terms", _terms)),
)
