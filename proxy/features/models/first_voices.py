"""The work of `voxgate voices natural`, which also runs before `make serve` starts a server: it fetches
natural voices for a new server."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from proxy.commands.command import CommandContext
from proxy.commands.tables import PrintForm
from proxy.config import config_toml, natural
from proxy.config.natural import Layer
from proxy.config.reader import ConfigError
from proxy.config.sections import Config
from proxy.engines import registry
from proxy.engines.environments.progress_line import progress_line, say
from proxy.engines.registry import Registry
from proxy.engines.stored_models import ModelStore
from proxy.errors import CommandRefused
from proxy.features.models import natural_file, natural_voices, natural_writer
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.listing import GalleryModel, open_galleries
from proxy.features.models.natural_file import (
    give_to_owner_after,
    lock_layer,
    own_sections,
    read_layer,
    write_layer,
)
from proxy.features.models.offers import licence_lines
from proxy.file_store import data_folder

_LONGEST_REASON = 300
_NO_NATURAL_VOICES = "No natural voices, so espeak speaks"
_PAUSES_S = (*(60.0 * 2**n for n in range(4)), *[900.0] * 96)
"""The pauses between fetches that fail: a minute, then longer, for a day."""


def fetch_natural_voices(here: CommandContext) -> dict[str, Any]:
    """Fetch the first models of a server, and use them. Raise CommandRefused."""
    config, loaded = here.config(), registry.load()
    listed = _choose_models(config, loaded, say)
    if not listed:
        raise CommandRefused("your own configuration decides for all their plugins, so nothing was fetched")
    say(*(line for each in listed for line in licence_lines(each)))
    unbuilt = _build_stand_in(config, loaded, here.form)
    ready, faults = _fetch_models(config, loaded, listed, here.form)
    if not ready:
        raise CommandRefused("\n".join(f"{name}: {why}" for name, why in faults.items()))
    faults |= unbuilt or {}
    layer = _add_to_layer(config, ready, faults, stands_in=unbuilt == {})
    now = here.config()
    return {
        "ready": [each.name for each in ready],
        "faults": faults,
        "file": str(Path(config.data) / natural.FILE),
        "lines": natural_writer.layer_as_toml(layer),
        "overruled": [section for section in layer.sections if section not in now.natural],
    }


def fetch_before_start(here: CommandContext) -> bool:
    """Fetch natural voices before a server starts. A failure is printed as one line, and the server starts.
    If the first fetch fails, it is not repeated. Models that were lost later are fetched again.

    Return True if the stand-in can speak: then `fetch_rest` fetches the other voices while the server runs.
    """
    try:
        config = here.config()
        stored = natural_file.read_checked(Path(config.data))
    except ConfigError:
        return False  # the server that starts next prints the fault
    if data_folder.is_held(Path(config.data)):
        return False
    if stored is None:
        return _fetch_first(config, here)
    if stored.sections:
        return _fetch_lost(config, stored, here)
    if (Path(config.data) / natural.FILE).stat().st_size:
        say(f"No natural voices, so espeak speaks. To fetch them, run: {_natural_command(here)}")
    return False


def fetch_rest(here: CommandContext) -> None:
    """Fetch the models that natural.toml names and the disk does not have, while the server runs. A failed
    fetch is repeated later: some languages have no voice without it."""
    config = here.config()
    for pause_s in _PAUSES_S:
        stored = natural_file.read_checked(Path(config.data))
        if stored is None or not _fetch_lost(config, stored, here, is_beside=True):
            return
        time.sleep(pause_s)


def _fetch_first(config: Config, here: CommandContext) -> bool:
    command = _natural_command(here)
    try:
        loaded = registry.load()
        listed = _choose_models(config, loaded, lambda _line: None)
        if not listed:
            return False
        say("Natural voices come first; without them: voxgate serve --voices plain (make serve VOICES=plain)")
        if natural_voices.find_missing(ModelStore(config.data), loaded, listed):
            natural_voices.require_index(listed)
        say(*(line for each in listed for line in licence_lines(each)))
        if (unbuilt := _build_stand_in(config, loaded, None)) == {}:  # the stand-in can speak
            _add_to_layer(config, listed, {}, stands_in=True)
            return True
        ready, faults = _fetch_models(config, loaded, listed, None)
        faults |= unbuilt or {}
        why = "; ".join(faults.values())
        if ready:
            _add_to_layer(config, ready, faults)
        else:
            _write_empty_layer(config, why)
        if why:
            _say_missing(why, _ready_text(ready), command)
    except (CommandRefused, OSError) as fault:
        _write_empty_layer(config, str(fault))
        _say_missing(str(fault), _NO_NATURAL_VOICES, command)
    return False


def _fetch_lost(config: Config, stored: Layer, here: CommandContext, *, is_beside: bool = False) -> bool:
    """Fetch again the models and environments that natural.toml needs and the disk has lost. An upgrade needs
    new environments. Return True if something is left for `fetch_rest`: the stand-in speaks meanwhile, or a
    fetch that runs beside the server has failed."""
    loaded = registry.load()
    galleries = open_galleries(loaded)
    in_force = {name: each for name, each in stored.engines.items() if f"engines.{name}" in config.natural}
    names, command = "natural voices", _natural_command(here)
    try:
        named = natural_voices.models_of_sections(in_force, galleries)
        stands_in = natural_voices.STAND_IN in in_force
        unbuilt = _build_stand_in(config, loaded, None) if stands_in and not is_beside else None
        for name, why in (unbuilt or {}).items():
            _say_missing(why, f"{name} cannot speak", command)
        lacking = natural_voices.find_missing(ModelStore(config.data), loaded, named)
        if unbuilt == {} or not lacking:
            return bool(lacking)
        names, first = ", ".join(each.name for each in lacking), natural_voices.first_models(galleries)
        command = next((each.command for each in lacking if each not in first), command)
        if not is_beside:
            say(f"A model, or what it runs in, is gone and comes again: {names}")
            natural_voices.require_index(first)
        _, faults = _fetch_models(config, loaded, lacking, None)
        if faults:
            _say_missing("; ".join(faults.values()), f"{', '.join(faults)} cannot speak", command)
        return is_beside and bool(faults)
    except (CommandRefused, OSError) as fault:
        _say_missing(str(fault), f"{names} cannot speak", command)
        return is_beside


def _natural_command(here: CommandContext) -> str:
    config = "" if here.config_file is None else f" --config {here.config_file}"
    return f"{sys.argv[0]} voices natural{config}"


def _ready_text(ready: Sequence[GalleryModel]) -> str:
    return f"Only {', '.join(each.name for each in ready)} came" if ready else _NO_NATURAL_VOICES


def _say_missing(why: str, what: str, command: str) -> None:
    reason = " ".join(why.rpartition("ERROR: ")[2].split())[:_LONGEST_REASON]
    say(f"{what}: {reason}. To fetch them, run: {command}")


def _choose_models(config: Config, loaded: Registry, say_line: Callable[[str], None]) -> list[GalleryModel]:
    """Return the first models, without those of plugins that the operator configures: the operator's engine
    may use all imported models, and would then be bound by the licences of these."""
    chosen = []
    for each in natural_voices.first_models(open_galleries(loaded)):
        if own := own_sections(config, each.plugin):
            say_line(f"{each.name} is left out: your own [engines.{own[0]}] decides for {each.plugin}")
        else:
            chosen.append(each)
    return chosen


def _fetch_models(
    config: Config, loaded: Registry, listed: Sequence[GalleryModel], form: PrintForm
) -> natural_voices.FetchedModels:
    store = ModelStore(config.data)
    with progress_line(form) as shown, give_to_owner_after(config):
        with hold_change_lock(
            store, lambda: shown.fetch("another command changes models; waiting for it", 0, 0)
        ):
            return natural_voices.fetch_and_build(store, loaded, listed, shown.build, shown.fetch)


def _build_stand_in(config: Config, loaded: Registry, form: PrintForm) -> dict[str, str] | None:
    """Build the environment of the stand-in, unless it exists. Return {}, or the fault by the plugin's name.
    None: the operator configures this plugin."""
    if own_sections(config, natural_voices.STAND_IN):
        return None
    try:
        with progress_line(form) as shown:
            natural_voices.build_environment(loaded, natural_voices.STAND_IN, shown.build)
    except CommandRefused as fault:
        return {natural_voices.STAND_IN: str(fault)}
    return {}


def _add_to_layer(
    config: Config, ready: Sequence[GalleryModel], faults: Mapping[str, str], *, stands_in: bool = False
) -> Layer:
    """Add the ready models to natural.toml. Its other models stay."""
    remark = "; ".join(f"{name}: {why}" for name, why in faults.items())
    with lock_layer(config):
        built_in = config_toml.built_in_models()
        layer = natural_voices.natural_layer(read_layer(config), ready, built_in, stands_in=stands_in)
        write_layer(config, layer, remark)
    return layer


def _write_empty_layer(config: Config, why: str) -> None:
    """Write a natural.toml without voices, unless there is one, so that the next start does not try again."""
    data = Path(config.data)
    with suppress(OSError):  # the server cannot write there either, and prints the fault
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with give_to_owner_after(config):
            natural_writer.write_layer_if_absent(data, natural.Layer(), f"There are none: {why}")
