"""The work of `voxgate voices own`: it fetches what speaks with people's own voices, after its terms were
agreed to, and lets the server use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from policies.language import base_tag
from proxy.commands.command import CommandContext, CommandResult
from proxy.commands.tables import Line
from proxy.config.sections import Config
from proxy.engines import registry
from proxy.engines.registry import Registry
from proxy.errors import CommandRefused
from proxy.features.models import offers
from proxy.features.models.fetch_note import OWN_NOTE, FetchNote
from proxy.features.models.first_voices import fetch_models
from proxy.features.models.listing import Galleries, GalleryModel, open_galleries
from proxy.features.models.model_use import engines_using, next_steps
from proxy.features.models.natural_file import lock_layer, read_layer, use_model, write_layer
from proxy.features.models.natural_voices import hosted_of, is_built
from proxy.features.models.pulling import (
    PullOrder,
    find_agreement,
    is_pulled,
    require_accepted,
    require_token,
)
from proxy.features.models.stock import current_model
from proxy.hosts.environments.progress_line import progress_line, say
from proxy.hosts.stored_models import ModelStore

CONVERTER = "openvoice-v2"
"""The gallery model that repeats the speech of other engines in one's own voice."""
_TORCH_MB, _OTHER_MB = 1300, 250
_MB_PER_S = 12.5
"""What is told to come in a second: 100 Mbit."""


class OwnOrder(NamedTuple):
    """The options of the command. `agreed_by` is the name of a person who has agreed elsewhere."""

    with_converter: bool = False
    accepted: tuple[str, ...] = ()
    is_agreed: bool = False
    agreed_by: str = ""
    source: str = ""


class Need(NamedTuple):
    """What is still to be fetched for a model, in megabytes: its files, and its environment."""

    model_mb: float
    environment_mb: int

    @property
    def fetch_s(self) -> int:
        return round((self.model_mb + self.environment_mb) / _MB_PER_S)


def need_of(config: Config, loaded: Registry, listed: GalleryModel) -> Need:
    hosted = hosted_of(loaded, listed.plugin)
    environment_mb = 0
    if hosted is not None and not is_built(loaded, listed.plugin):
        has_torch = any(each.startswith("torch") for each in hosted.packages)
        environment_mb = _TORCH_MB if has_torch else _OTHER_MB
    is_there = is_pulled(ModelStore(config.data), listed)
    return Need(0 if is_there else listed.entry.size / 1e6, environment_mb)


def choose_models(galleries: Galleries, tag: str, *, with_converter: bool) -> list[GalleryModel]:
    """Return the model for a language, and the converter if it is wanted. Raise CommandRefused."""
    own = galleries.own_voice(tag)
    converters = [each for each in galleries.listed if each.name == CONVERTER]
    if own is None and not with_converter:
        found = f"no gallery has a model that speaks {tag[:80]!r} in your own voice"
        has_any = f"; to repeat other engines' speech in it: voxgate voices own {tag[:80]} --any"
        raise CommandRefused(found + (has_any if converters else ""))
    if with_converter and not converters:
        raise CommandRefused(f"--any: no gallery has {CONVERTER}")
    return [*([] if own is None else [own]), *(converters if with_converter else [])]


def fetch_own_voices(here: CommandContext, language: str, order: OwnOrder) -> CommandResult:
    """Show what comes and ask for agreement, fetch it, and use it. Raise CommandRefused."""
    config, loaded = here.config(), registry.load()
    tag = language or config.server.default_language
    chosen = choose_models(open_galleries(loaded), tag, with_converter=order.with_converter)
    for each in chosen:
        say(*offers.licence_lines(each), _need_line(need_of(config, loaded, each)))
    note = FetchNote(config.data, chosen, OWN_NOTE)
    try:
        orders = {each.name: _order_of(config, each, order) for each in chosen}
        note.write_note()
        with progress_line(here.form) as shown:
            fetched = fetch_models(config, loaded, chosen, shown, orders, OWN_NOTE)
    except CommandRefused as refused:
        if order.agreed_by:  # this person reads the note
            note.write_note(fault=str(refused))
        raise
    if fetched.faults:
        note.write_note(fault="; ".join(fetched.faults.values()))
    steps = [line for each in fetched.ready for line in _use(here, each)]
    if fetched.ready:
        steps.append(Line('Then: voxgate voices add Ana ana.wav --statement "who agreed to what"'))
    row = {
        "language": base_tag(tag),
        "ready": [each.name for each in fetched.ready],
        "faults": fetched.faults,
    }
    return CommandResult(row, status=1 if fetched.faults else 0, then=steps)


def _need_line(need: Need) -> str:
    environment = (
        f"{need.environment_mb:,} MB of programs" if need.environment_mb else "its programs are there"
    )
    if not any(need):
        return "everything of it is there"
    return f"to fetch: {need.model_mb:,.0f} MB, and {environment}: {need.fetch_s} s at 100 Mbit/s"


def _order_of(config: Config, listed: GalleryModel, order: OwnOrder) -> PullOrder:
    """Return the order of a pull, after asking. Raise ModelRefused, before anything is fetched."""
    accepted = offers.ask_acceptance(listed, order.accepted)
    agreed_by = order.agreed_by or offers.ask_agreement(config, listed, order.is_agreed)
    if find_agreement(ModelStore(config.data), listed) is None and not agreed_by:
        require_accepted(listed, accepted, None)
    made = PullOrder(
        accepted=accepted,
        agreed_by=agreed_by,
        source=offers.check_source(order.source),
        token=offers.resolve_token(listed.entry.token, is_option=False),
    )
    if not is_pulled(ModelStore(config.data), listed):
        require_token(listed, made)  # not after minutes, behind the build of the environment
    return made


def _use(here: CommandContext, listed: GalleryModel) -> Iterator[Line]:
    """Let the server use a model, and yield the lines about it."""
    config = here.config()
    yield from use_model(config, listed) or next_steps(
        config, current_model(ModelStore(config.data), listed.name).manifest, is_new=False
    )
    if listed.name != CONVERTER:
        return
    users = engines_using(here.config(), listed.name)
    with lock_layer(config):
        layer = read_layer(config)
        if own := [name for name in users if name in layer.engines]:
            write_layer(config, msgspec.structs.replace(layer, converter=own[0]))
            yield Line(f'It has converter = "{own[0]}" in [server], too.')
        else:
            yield Line(f'Add converter = "{next(iter(users), listed.plugin)}" to your own [server].')
