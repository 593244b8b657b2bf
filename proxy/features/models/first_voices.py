"""`voxgate voices natural`, and the step of `make serve` before it serves: natural voices for a new
server."""

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
from proxy.features.models import natural_file, natural_voices
from proxy.features.models.changes import locked
from proxy.features.models.listing import Listed, open_galleries
from proxy.features.models.natural_file import changing_layer, own_sections, owned, read_layer, write_layer
from proxy.features.models.offers import terms
from proxy.file_store import data_folder

_LONGEST_REASON = 300
_NONE = "No natural voices, so espeak speaks"
_PAUSES_S = (*(60.0 * 2**n for n in range(4)), *[900.0] * 96)
"""Between fetches that fail: a minute, then longer, for a day."""


def fetched(here: CommandContext) -> dict[str, Any]:
    """Fetch the first models of a server, and use them. Raise CommandRefused."""
    config, loaded = here.config(), registry.load()
    listed = _chosen(config, loaded, say)
    if not listed:
        raise CommandRefused("your own configuration decides for all their plugins, so nothing was fetched")
    say(*(line for each in listed for line in terms(each)))
    unbuilt = _build_stand_in(config, loaded, here.form)
    ready, faults = _have(config, loaded, listed, here.form)
    if not ready:
        raise CommandRefused("\n".join(f"{name}: {why}" for name, why in faults.items()))
    faults |= unbuilt or {}
    layer = _keep(config, ready, faults, stands_in=unbuilt == {})
    now = here.config()
    return {
        "ready": [each.name for each in ready],
        "faults": faults,
        "file": str(Path(config.data) / natural.FILE),
        "lines": natural.layer_as_toml(layer),
        "overruled": [section for section in layer.sections if section not in now.natural],
    }


def begin(here: CommandContext) -> bool:
    """Fetch natural voices before a start. Any failure is one line, and the server starts. A failed first
    fetch is not repeated; lost models are fetched again.

    Once the voice that stands in can speak, return True: `fetch_rest` fetches the others beside the server.
    """
    try:
        config = here.config()
        stored = natural_file.read(Path(config.data))
    except ConfigError:
        return False  # the server that starts next says what is wrong
    if data_folder.is_held(Path(config.data)):
        return False
    if stored is None:
        return _fetch_first(config, here)
    if stored.sections:
        return _mend(config, stored, here)
    if (Path(config.data) / natural.FILE).stat().st_size:
        say(f"No natural voices, so espeak speaks. To fetch them, run: {_natural_command(here)}")
    return False


def fetch_rest(here: CommandContext) -> None:
    """Fetch what natural.toml names and the disk lacks, while the server runs. A fetch that failed is begun
    again later, since some languages wait for its voices."""
    config = here.config()
    for pause_s in _PAUSES_S:
        stored = natural_file.read(Path(config.data))
        if stored is None or not _mend(config, stored, here, is_beside=True):
            return
        time.sleep(pause_s)


def _fetch_first(config: Config, here: CommandContext) -> bool:
    command = _natural_command(here)
    try:
        loaded = registry.load()
        listed = _chosen(config, loaded, lambda _line: None)
        if not listed:
            return False
        say("Natural voices come first; without them: voxgate serve --voices plain (make serve VOICES=plain)")
        if natural_voices.lacking(ModelStore(config.data), loaded, listed):
            natural_voices.require_index(listed)
        say(*(line for each in listed for line in terms(each)))
        if (unbuilt := _build_stand_in(config, loaded, None)) == {}:
            _keep(config, listed, {}, stands_in=True)
            return True
        ready, faults = _have(config, loaded, listed, None)
        faults |= unbuilt or {}
        why = "; ".join(faults.values())
        if ready:
            _keep(config, ready, faults)
        else:
            _remember(config, why)
        if why:
            _say_lacking(why, _came(ready), command)
    except (CommandRefused, OSError) as fault:
        _remember(config, str(fault))
        _say_lacking(str(fault), _NONE, command)
    return False


def _mend(config: Config, stored: Layer, here: CommandContext, *, is_beside: bool = False) -> bool:
    """Have again what the sections of natural.toml need and lost: an upgrade needs new environments. Return
    True if something is left for `fetch_rest`: a voice stands in meanwhile, or its fetch failed."""
    loaded = registry.load()
    galleries = open_galleries(loaded)
    counting = {name: each for name, each in stored.engines.items() if f"engines.{name}" in config.natural}
    names, command = "natural voices", _natural_command(here)
    try:
        named = natural_voices.stored(counting, galleries)
        stands_in = natural_voices.STAND_IN in counting
        unbuilt = _build_stand_in(config, loaded, None) if stands_in and not is_beside else None
        for name, why in (unbuilt or {}).items():
            _say_lacking(why, f"{name} cannot speak", command)
        lacking = natural_voices.lacking(ModelStore(config.data), loaded, named)
        if unbuilt == {} or not lacking:
            return bool(lacking)
        names, first = ", ".join(each.name for each in lacking), natural_voices.chosen(galleries)
        command = next((each.command for each in lacking if each not in first), command)
        if not is_beside:
            say(f"A model, or what it runs in, is gone and comes again: {names}")
            natural_voices.require_index(first)
        _, faults = _have(config, loaded, lacking, None)
        if faults:
            _say_lacking("; ".join(faults.values()), f"{', '.join(faults)} cannot speak", command)
        return is_beside and bool(faults)
    except (CommandRefused, OSError) as fault:
        _say_lacking(str(fault), f"{names} cannot speak", command)
        return is_beside


def _natural_command(here: CommandContext) -> str:
    config = "" if here.config_file is None else f" --config {here.config_file}"
    return f"{sys.argv[0]} voices natural{config}"


def _came(ready: Sequence[Listed]) -> str:
    return f"Only {', '.join(each.name for each in ready)} came" if ready else _NONE


def _say_lacking(why: str, what: str, command: str) -> None:
    reason = " ".join(why.rpartition("ERROR: ")[2].split())[:_LONGEST_REASON]
    say(f"{what}: {reason}. To fetch them, run: {command}")


def _chosen(config: Config, loaded: Registry, tell: Callable[[str], None]) -> list[Listed]:
    """Return the first models, without those of plugins that the operator configures: an engine that uses all
    imported models would use these, too, and be bound by their licence."""
    chosen = []
    for each in natural_voices.chosen(open_galleries(loaded)):
        if own := own_sections(config, each.plugin):
            tell(f"{each.name} is left out: your own [engines.{own[0]}] decides for {each.plugin}")
        else:
            chosen.append(each)
    return chosen


def _have(
    config: Config, loaded: Registry, listed: Sequence[Listed], form: PrintForm
) -> tuple[list[Listed], dict[str, str]]:
    store = ModelStore(config.data)
    with progress_line(form) as shown, owned(config):
        with locked(store, lambda: shown.fetch("another command changes models; waiting for it", 0, 0)):
            return natural_voices.have(store, loaded, listed, shown.build, shown.fetch)


def _build_stand_in(config: Config, loaded: Registry, form: PrintForm) -> dict[str, str] | None:
    """Build the environment of the voice that stands in, unless it is there. Return its fault, if it has one,
    or None if the operator configures its plugin."""
    if own_sections(config, natural_voices.STAND_IN):
        return None
    try:
        with progress_line(form) as shown:
            natural_voices.build_environment(loaded, natural_voices.STAND_IN, shown.build)
    except CommandRefused as fault:
        return {natural_voices.STAND_IN: str(fault)}
    return {}


def _keep(
    config: Config, ready: Sequence[Listed], faults: Mapping[str, str], *, stands_in: bool = False
) -> Layer:
    """Write natural.toml with the ready models. Its other models stay."""
    remark = "; ".join(f"{name}: {why}" for name, why in faults.items())
    with changing_layer(config):
        built_in = config_toml.built_in_models()
        layer = natural_voices.natural_layer(read_layer(config), ready, built_in, stands_in=stands_in)
        write_layer(config, layer, remark)
    return layer


def _remember(config: Config, why: str) -> None:
    """Write a natural.toml without voices, unless there is one, so that the next start does not try again."""
    data = Path(config.data)
    with suppress(OSError):  # the server cannot write there either, and says so
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with owned(config):
            natural.write_layer_if_absent(data, natural.Layer(), f"There are none: {why}")
