"""Natural voices: the first models of a new server, and their common fetch. Their packages are built while
their files are fetched. Then natural.toml names the voices."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from proxy.config.model_names import STANDARD
from proxy.config.natural import EngineKeys, Layer
from proxy.engines.environments import environment_build, environments
from proxy.engines.environments.environment_build import BuildProgress, Say
from proxy.engines.registry import Registry
from proxy.engines.stored_models import ModelRefused, ModelStore, Progress
from proxy.errors import CommandRefused
from proxy.features.models.addresses import FetchFailed
from proxy.features.models.index_process import IndexPatience
from proxy.features.models.listing import Galleries, Listed
from proxy.features.models.packages import fetch_package
from proxy.features.models.pulling import PullOrder, is_pulled, pull
from speech_engine import Hosted
from speech_engine.licences import terms_of

_FIRST = ("kokoro-voices",)
STAND_IN = "hibari"
"""The plugin that speaks first, and then where the first models are late. Its package has its model."""
FORMER = "kokoro-int8"
"""The first model of earlier servers. Its Japanese voices speak no more."""

_PROBE_S = 4.0
"""The voices are an extra, so a server without an index must not wait for them."""
_AT_ONCE = IndexPatience(retries=0, answer_s=_PROBE_S, silence_s=20.0)
"""pip may take seconds to start on a busy machine, and that is no fault of the index."""


def chosen(galleries: Galleries) -> list[Listed]:
    """Return the first models of a new server. Raise ModelRefused if a gallery lacks one."""
    return [galleries.listed_model(name) for name in _FIRST]


def require_index(listed: Sequence[Listed]) -> None:
    """Fetch the smallest of all wheels. Raise ModelRefused with the reason, within seconds."""
    smallest = min((wheel for each in listed for wheel in each.entry.wheels), key=lambda wheel: wheel.size)
    with tempfile.TemporaryDirectory() as folder:
        try:
            fetch_package(smallest, Path(folder), _AT_ONCE, _Impatience())
        except (FetchFailed, OSError) as fault:
            why = str(fault)
            # pip has the same message for an absent index and for an absent package.
            if "No matching distribution" in why:
                named = f"{smallest.package} {smallest.version}"
                why = f"the package index cannot be reached, or has no {named}"
            raise ModelRefused(why) from None


class _Impatience:
    """Ends a fetch some seconds after pip's first output, however slowly bytes arrive."""

    def __init__(self) -> None:
        self._first = -1
        self._until: float | None = None

    def __call__(self, done: int, _of: int) -> None:
        """`done` is the number of bytes that pip has written, with its messages."""
        self._first = done if self._first < 0 else self._first
        if self._until is None and done != self._first:
            self._until = time.monotonic() + _PROBE_S
        if self._until is not None and time.monotonic() > self._until:
            raise FetchFailed(f"the package index cannot be reached: no answer in {_PROBE_S:.0f} seconds")


def lacking(store: ModelStore, registry: Registry, listed: Iterable[Listed]) -> list[Listed]:
    return [each for each in listed if not is_pulled(store, each) or not _is_built(registry, each.plugin)]


def have(
    store: ModelStore,
    registry: Registry,
    listed: Sequence[Listed],
    say: Say,
    progress: Progress,
) -> tuple[list[Listed], dict[str, str]]:
    """Fetch the models, and build their environments at the same time. Return the ready ones, and the faults
    of the others by name. The caller holds the store's lock, and the licences have been accepted."""
    faults: dict[str, str] = {}
    there: list[Listed] = []
    plugins = dict.fromkeys(each.plugin for each in listed)
    is_stopped = threading.Event()

    def say_or_stop(so_far: BuildProgress) -> None:
        if is_stopped.is_set():
            raise CommandRefused("it was interrupted")
        say(so_far)

    with ThreadPoolExecutor(1) as beside:
        building = beside.submit(_build_all, registry, plugins, say_or_stop)
        try:
            for each in listed:
                try:
                    pull(store, each, PullOrder(accepted=each.entry.to_accept), progress)
                except CommandRefused as fault:
                    faults[each.name] = str(fault)
                else:
                    there.append(each)
            unbuilt = building.result()
        except BaseException:
            is_stopped.set()  # Ctrl-C reaches this thread alone, and must not wait for a build
            raise
    for each in there:
        if each.plugin in unbuilt:
            faults[each.name] = unbuilt[each.plugin]
    return [each for each in there if each.name not in faults], faults


def build_environment(registry: Registry, plugin: str, say: Say) -> bool:
    """Build a plugin's environment. Return False if it is there. Raise EnvironmentRefused."""
    hosted = _hosted(registry, plugin)
    if hosted is None:
        return False
    needed = environments.recipe(plugin, hosted)
    # An environment with another variant of torch is as good, and `build` would make one beside it.
    found = environments.find_built(needed)
    return environment_build.build(
        msgspec.structs.replace(needed, torch=found.recipe.torch) if found else needed, say
    )[1]


def _build_all(registry: Registry, plugins: Iterable[str], say: Say) -> dict[str, str]:
    faults = {}
    for plugin in plugins:
        try:
            build_environment(registry, plugin, say)
        except CommandRefused as fault:
            faults[plugin] = str(fault)
    return faults


def _is_built(registry: Registry, plugin: str) -> bool:
    hosted = _hosted(registry, plugin)
    return hosted is None or environments.find_built(environments.recipe(plugin, hosted)) is not None


def _hosted(registry: Registry, plugin: str) -> Hosted | None:
    for kind in ("engine", "mark"):
        found = registry.plugins(kind).get(plugin)
        if found is not None and isinstance(found.create, Hosted) and found.create.has_environment:
            return found.create
    return None


def stored(engines: Mapping[str, Mapping[str, Any]], galleries: Galleries) -> list[Listed]:
    """Return the models that sections of a layer name, if galleries have them for their plugins. A model
    whose licence has changed was not accepted."""
    found = []
    for name, section in engines.items():
        for each in _named(section):
            try:
                listed = galleries.listed_model(each)
            except ModelRefused:
                continue  # it was imported, or the gallery is gone
            if listed.plugin == section.get("plugin", name) and _accepts(listed).items() <= section.items():
                found.append(listed)
    return found


def natural_layer(
    layer: Layer, ready: Sequence[Listed], built_in: Mapping[str, Sequence[str]], *, stands_in: bool = False
) -> Layer:
    """Return a layer in which these models come first under the built-in names, and then the stand-in."""
    if not ready and not stands_in:
        return layer
    former = [name for name, section in layer.engines.items() if section.get("model") == FORMER]
    layer = msgspec.structs.replace(
        layer, engines={k: v for k, v in layer.engines.items() if k not in former}
    )
    first: list[str] = []
    for each in ready:
        layer, engine = with_model(layer, each)
        first.append(f"{engine}/{STANDARD}")
    if stands_in:
        layer = _replaced(layer, STAND_IN, layer.engines.get(STAND_IN, {}))
        first.append(f"{STAND_IN}/{STANDARD}")
    models = {}
    for alias in built_in:
        models[alias] = list(dict.fromkeys((*first, *layer.models.get(alias, ()))))
    return msgspec.structs.replace(layer, models={**layer.models, **models})


def with_speech(layer: Layer, listed: Listed, built_in: Mapping[str, Sequence[str]]) -> tuple[Layer, str]:
    """Return a layer in which a model speaks the languages that earlier ones lack, and its name for clients.
    It comes before the built-in ones. A model that speaks with people's own voices comes last, and a model
    without languages speaks nothing: it converts recordings. One that hears has OpenAI's names of its own if
    it is the first."""
    layer, engine = with_model(layer, listed)
    is_last = listed.entry.speaks_samples
    id_ = listed.name if listed.format_.names_models else STANDARD
    if listed.format_.hears:
        return layer, f"{engine}/{listed.name.removeprefix(f'{listed.plugin}-')}"
    model, models = f"{engine}/{id_}", {}
    for alias, candidates in built_in.items() if listed.entry.languages else ():
        there = layer.models.get(alias, [])
        if is_last:
            models[alias] = list(dict.fromkeys((*there, *candidates, model)))
        elif model in there:
            models[alias] = there
        else:
            place = next((at for at, each in enumerate(there) if each in candidates), len(there))
            models[alias] = [*there[:place], model, *there[place:]]
    return msgspec.structs.replace(layer, models={**layer.models, **models}), model


def without_model(layer: Layer, name: str, built_in: Mapping[str, Sequence[str]]) -> Layer:
    """Return a layer without a model. An engine that had it alone is removed, too."""
    engines = {}
    for engine, section in layer.engines.items():
        left = {
            key: [each for each in value if each != name] if isinstance(value, list) else value
            for key, value in section.items()
        }
        if left.get("model") != name and (left == section or _named(left)):
            engines[engine] = left
    models = {}
    for alias, candidates in layer.models.items():
        there = [each for each in candidates if _speaks(each, layer, engines, name)]
        if set(there) - set(built_in.get(alias, ())):
            models[alias] = there
    return Layer(engines, models)


def _speaks(candidate: str, before: Layer, engines: Mapping[str, Any], gone: str) -> bool:
    engine, _, model = candidate.partition("/")
    return engine not in before.engines or (engine in engines and model != gone)


def _named(section: Mapping[str, Any]) -> list[str]:
    """Return the models that a section names, alone or in a list."""
    listed = [each for value in section.values() if isinstance(value, list) for each in value]
    return [each for each in (section.get("model"), *listed) if isinstance(each, str)]


def with_model(layer: Layer, listed: Listed) -> tuple[Layer, str]:
    """Return a layer with an engine for a model, and that engine's name. Models of different licences never
    share one: the strictest would count for all."""
    plugin, listed_in, accepts = listed.plugin, listed.format_.listed_in, _accepts(listed)
    for name, section in layer.engines.items():
        if section.get("plugin", name) != plugin or section.get("accept_licence") != accepts.get(
            "accept_licence"
        ):
            continue
        if listed_in and isinstance(section.get(listed_in), list):
            named = list(dict.fromkeys((*section[listed_in], listed.name)))
            return _replaced(layer, name, {**section, listed_in: named}), name
        if not listed_in and section.get("model") == listed.name:
            return layer, name
    name = plugin
    if name in layer.engines:
        name = listed.name if listed.name.startswith(f"{plugin}-") else f"{plugin}-{listed.name}"
    keys = EngineKeys("" if name == plugin else plugin, "" if listed_in else listed.name, **accepts)
    models = {listed_in: [listed.name]} if listed_in else {}
    return _replaced(layer, name, {**msgspec.to_builtins(keys), **models}), name


def _accepts(listed: Listed) -> dict[str, str]:
    bound_by = listed.entry.bound_by
    return {"accept_licence": bound_by} if terms_of(bound_by).must_accept else {}


def _replaced(layer: Layer, name: str, section: dict[str, Any]) -> Layer:
    return msgspec.structs.replace(layer, engines={**layer.engines, name: section})
