"""The work of `voxgate voices natural`, which also runs before `make serve` starts a server: it fetches
natural voices for a new server."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from policies.language import base_tag
from proxy.commands.command import CommandContext
from proxy.commands.tables import PrintForm
from proxy.config import config_toml
from proxy.config.reader import ConfigError
from proxy.config.sections import Config
from proxy.engines import registry
from proxy.engines.registry import Registry
from proxy.errors import CommandRefused
from proxy.features.models import natural, natural_file, natural_voices, natural_writer
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.fetch_note import FetchNote, command_for, note_path
from proxy.features.models.listing import GalleryModel, open_galleries
from proxy.features.models.natural import Layer
from proxy.features.models.natural_file import (
    give_to_owner_after,
    lock_layer,
    own_sections,
    read_layer,
    write_layer,
)
from proxy.features.models.offers import licence_lines
from proxy.features.models.pulling import PullOrder, find_agreement, is_pulled
from proxy.file_store import data_folder
from proxy.hosts.environments.environment_build import BuildProgress
from proxy.hosts.environments.progress_line import ProgressLine, progress_line, say
from proxy.hosts.stored_models import FETCH_NOTE, ModelStore

_LONGEST_REASON = 300
_PAUSES_S = (*(60.0 * 2**n for n in range(4)), *[900.0] * 96)
"""The pauses between fetches that fail: a minute, then longer, for a day."""


def fetch_natural_voices(here: CommandContext) -> dict[str, Any]:
    """Fetch the first models of a server, and use them. Raise CommandRefused."""
    config, loaded = here.config(), registry.load()
    listed = _choose_models(config, loaded, say)
    if not listed:
        raise CommandRefused("your own configuration decides for all their plugins, so nothing was fetched")
    say(*(line for each in listed for line in licence_lines(each)))
    stand_in = _build_stand_in(config, loaded, here.form)
    with progress_line(here.form) as shown:
        ready, faults = fetch_models(config, loaded, listed, shown)
    if not ready:
        raise CommandRefused("\n".join(f"{name}: {why}" for name, why in faults.items()))
    if stand_in is not None and stand_in.fault:
        faults[natural_voices.STAND_IN] = stand_in.fault
    layer = _add_to_layer(config, ready, faults, stands_in=stand_in is not None and not stand_in.fault)
    now = here.config()
    return {
        "ready": [each.name for each in ready],
        "faults": faults,
        "file": str(Path(config.data) / natural.FILE),
        "lines": natural_writer.layer_as_toml(layer),
        "overruled": [section for section in layer.sections if section not in now.natural],
    }


def fetch_before_start(here: CommandContext) -> str:
    """Build the stand-in before a server starts. A failure is printed as one line, and the server starts. If
    the first build fails, it is not repeated. Return a sentence on the models that `fetch_rest` fetches while
    the server runs: those of a new server, and those that were lost."""
    try:
        config = here.config()
        stored = natural_file.read_checked(Path(config.data))
    except ConfigError:
        return ""  # the server that starts next prints the fault
    if data_folder.is_held(Path(config.data)):
        return ""
    loaded = registry.load()
    if stored is None:
        return _begin_first(config, loaded, here)
    for each in find_unagreed(config, loaded, stored):
        say(f"{each.name} is lost, and with it the agreement to its terms; {unagreed_command(each)}")
    if stored.sections:
        stands_in = f"engines.{natural_voices.STAND_IN}" in config.natural
        stand_in = _build_stand_in(config, loaded, None) if stands_in else None
        if stand_in is not None and stand_in.fault:
            _say_missing(stand_in.fault, f"{natural_voices.STAND_IN} cannot speak", _natural_command(here))
            stands_in = False
        return _announce_rest(config, _find_lost(config, loaded, stored), stands_in=stands_in)
    if (Path(config.data) / natural.FILE).stat().st_size:
        say(f"No natural voices, so espeak speaks. To fetch them, run: {_natural_command(here)}")
    return ""


def _announce_rest(config: Config, listed: Sequence[GalleryModel], *, stands_in: bool) -> str:
    """Note that these models follow, before any worker looks. Return the sentence."""
    if not listed:
        return ""
    with give_to_owner_after(config):
        FetchNote(config.data, listed).write_note()
    speaking = [each.entry for each in listed if each.entry.genders]
    voices = sum(len(entry.genders) for entry in speaking)
    languages = {base_tag(tag) for entry in speaking for tag in entry.languages}
    follow = f"{voices} voices in {len(languages)} languages follow"
    if not speaking:
        follow = f"{', '.join(each.name for each in listed)} will be there"
    return f"{'Heart speaks English now; ' if stands_in else ''}{follow} in some minutes."


def fetch_rest(here: CommandContext) -> None:
    """Fetch the models that natural.toml names and the disk does not have, without a word, while the server
    runs. A failed fetch is repeated later, since some languages have no voice without it. Its fault is noted
    for the server, and printed once."""
    config, loaded, said = here.config(), registry.load(), ""
    for pause_s in _PAUSES_S:
        stored = natural_file.read_checked(Path(config.data))
        if stored is None or not (lacking := _find_lost(config, loaded, stored)):
            note_path(config.data).unlink(missing_ok=True)
            return
        note, command = FetchNote(config.data, lacking), command_for(lacking, _natural_command(here))
        try:
            why = "; ".join(fetch_models(config, loaded, lacking).faults.values())
        except (CommandRefused, OSError) as fault:
            why = str(fault)
        if why:
            what = f"{', '.join(each.name for each in lacking)} could not be fetched"
            why = f"{what}: {_one_line(why)}. It is tried again, ever later. To try now, run: {command}"
            note.write_note(fault=why)
            say(*(() if why == said else (why,)))
            said = why
            time.sleep(pause_s)


def _begin_first(config: Config, loaded: Registry, here: CommandContext) -> str:
    try:
        if not (listed := _choose_models(config, loaded, lambda _line: None)):
            return ""
        say("Natural voices come first; without them: voxgate serve --voices plain (make serve VOICES=plain)")
        if natural_voices.find_missing(ModelStore(config.data), loaded, listed):
            natural_voices.require_index(listed)
        say(*(line for each in listed for line in licence_lines(each)))
        stand_in = _build_stand_in(config, loaded, None)
        if stand_in is not None and stand_in.fault:
            raise CommandRefused(stand_in.fault)
        _add_to_layer(config, listed, {}, stands_in=stand_in is not None)
        return _announce_rest(config, listed, stands_in=stand_in is not None)
    except (CommandRefused, OSError) as fault:
        _write_empty_layer(config, str(fault))
        _say_missing(str(fault), "No natural voices, so espeak speaks", _natural_command(here))
    return ""


def _find_lost(config: Config, loaded: Registry, stored: Layer) -> list[GalleryModel]:
    """Return the models that natural.toml needs, and the disk has lost, with those whose environment is lost:
    an upgrade needs a new one. Those of `find_unagreed` are left out."""
    unagreed = find_unagreed(config, loaded, stored)
    return [each for each in _find_missing(config, loaded, stored) if each not in unagreed]


def find_unagreed(config: Config, loaded: Registry, stored: Layer) -> list[GalleryModel]:
    """Return the models that the disk has lost with the agreement to their terms. A person must agree again,
    so no start fetches them."""
    store = ModelStore(config.data)
    return [
        each
        for each in _find_missing(config, loaded, stored)
        if each.entry.terms and not is_pulled(store, each) and find_agreement(store, each) is None
    ]


def _find_missing(config: Config, loaded: Registry, stored: Layer) -> list[GalleryModel]:
    in_force = {name: each for name, each in stored.engines.items() if f"engines.{name}" in config.natural}
    named = natural_voices.models_of_sections(in_force, open_galleries(loaded))
    return natural_voices.find_missing(ModelStore(config.data), loaded, named)


def unagreed_command(listed: GalleryModel) -> str:
    """Return what to do for a model of `find_unagreed`."""
    return f"to read its terms and fetch it, run: {listed.command_of(f'models pull {listed.name}')}"


def _natural_command(here: CommandContext) -> str:
    config = "" if here.config_file is None else f" --config {here.config_file}"
    return f"{sys.argv[0]} voices natural{config}"


def _say_missing(why: str, what: str, command: str) -> None:
    say(f"{what}: {_one_line(why)}. To fetch them, run: {command}")


def _one_line(why: str) -> str:
    return " ".join(why.rpartition("ERROR: ")[2].split())[:_LONGEST_REASON]


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


def fetch_models(
    config: Config,
    loaded: Registry,
    listed: Sequence[GalleryModel],
    shown: ProgressLine | None = None,
    orders: Mapping[str, PullOrder] | None = None,
    noted_in: str = FETCH_NOTE,
) -> natural_voices.FetchedModels:
    """Fetch models and build their environments, with a note of the progress for a server."""
    store, note = ModelStore(config.data), FetchNote(config.data, listed, noted_in)
    note.is_built = all(natural_voices.is_built(loaded, each.plugin) for each in listed)
    note.is_fetched = all(is_pulled(store, each) for each in listed)
    showing = (note,) if shown is None else (note, shown)

    def build(progress: BuildProgress) -> None:
        for each in showing:
            each.build(progress)

    def fetch(what: str, done: int, of: int) -> None:
        for each in showing:
            each.fetch(what, done, of)

    with give_to_owner_after(config):
        with hold_change_lock(store, lambda: fetch("another command changes models; waiting for it", 0, 0)):
            fetched = natural_voices.fetch_and_build(store, loaded, listed, build, fetch, orders)
            if not fetched.faults:
                note.remove_note()
            return fetched


class StandInBuild(NamedTuple):
    """The build of the stand-in's environment. `fault` is empty if the environment exists now."""

    fault: str


def _build_stand_in(config: Config, loaded: Registry, form: PrintForm) -> StandInBuild | None:
    """Build the environment of the stand-in, unless it exists. Return None if the operator configures this
    plugin: then no stand-in is added."""
    if own_sections(config, natural_voices.STAND_IN):
        return None
    try:
        with progress_line(form) as shown:
            title = natural_voices.STAND_IN_TITLE
            natural_voices.build_environment(
                loaded, natural_voices.STAND_IN, lambda each: shown.build(each._replace(title=title))
            )
    except CommandRefused as fault:
        return StandInBuild(str(fault))
    return StandInBuild(fault="")


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
