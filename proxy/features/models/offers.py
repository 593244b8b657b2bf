"""The work of `voxgate models search` and `voxgate models pull`: models of the galleries."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import typer

from proxy.commands.command import CommandContext, CommandResult
from proxy.commands.options import must_ask
from proxy.config.reader import ConfigError
from proxy.config.secret import resolve
from proxy.config.sections import Config
from proxy.engines import registry
from proxy.engines.registry import Registry
from proxy.errors import CommandRefused
from proxy.features.models.addresses import FetchFailed, parse_address
from proxy.features.models.listing import QUICK, GalleryModel, open_galleries
from proxy.features.models.model_use import licence_notes, next_steps
from proxy.features.models.natural_file import own_sections, use_model
from proxy.features.models.natural_voices import build_environment
from proxy.features.models.part_file import is_sha256
from proxy.features.models.pulling import PullOrder, find_agreement, is_pulled, pull
from proxy.features.models.stock import current_model, model_row, open_changes
from proxy.hosts.environments.progress_line import progress_line, say
from proxy.hosts.stored_models import ModelStore
from speech_engine.licences import terms_of


def search_models(config: Config, word: str, language: str, is_paid: bool) -> dict[str, Any]:
    store, galleries = ModelStore(config.data), open_galleries(registry.load())
    return {
        "data": [_model_row(store, each) for each in galleries.search(word, language, is_paid)],
        "faults": [fault._asdict() for fault in galleries.faults],
    }


def _model_row(store: ModelStore, listed: GalleryModel) -> dict[str, Any]:
    entry = listed.entry
    return {
        "name": listed.name,
        "engine": listed.plugin,
        "title": entry.title,
        "description": entry.description,
        "languages": list(entry.languages),
        "genders": entry.genders,
        "speaks_samples": entry.speaks_samples,
        "bytes": entry.size,
        "licence": entry.licence,
        "basis": entry.basis,
        "attribution": entry.attribution,
        "paid_use": terms_of(entry.bound_by).paid_use,
        "terms": entry.terms,
        "terms_page": entry.terms_page,
        "gated": entry.gated,
        "token": entry.token,
        "is_pulled": is_pulled(store, listed),
        "command": listed.command,
    }


def announce_model(config: Config, name: str) -> GalleryModel:
    """Find a model of a gallery, print its licences and warnings, and return it. Raise ModelRefused."""
    listed = open_galleries(registry.load()).listed_model(name)
    warnings = licence_notes(config, listed.plugin, name, listed.entry.bound_by)
    say(*licence_lines(listed), *(each.text for each in warnings))
    return listed


def licence_lines(listed: GalleryModel) -> Iterator[str]:
    entry = listed.entry
    yield f"{listed.name}: {entry.title}, for {listed.plugin}, {size_text(entry.size)}"
    yield f"licence: {entry.licence} ({terms_of(entry.licence).says})"
    if entry.basis:
        yield f"basis: {entry.basis} ({terms_of(entry.basis).says})"
    if entry.attribution:
        yield f"attribution: {entry.attribution}"
    if entry.terms:
        yield f"terms: {entry.terms} ({entry.terms_page})"


def size_text(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size else "?"


def ask_acceptance(listed: GalleryModel, accepted_names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the accepted licences. On a terminal, ask for those that are missing."""
    missing = missing_licences(listed.entry.to_accept, accepted_names)
    if not missing or not must_ask(is_sure=False):
        return accepted_names
    for licence in missing:
        if not typer.confirm(f"Have you read {licence}, and do you accept it?", err=True):
            return accepted_names
    return (*accepted_names, *missing)


def ask_agreement(config: Config, listed: GalleryModel, is_agreed: bool) -> str:
    """Return who agrees to the model's terms, or "" if nobody does, or somebody has before. On a terminal,
    ask."""
    if not listed.entry.terms or find_agreement(ModelStore(config.data), listed) is not None:
        return ""
    if not is_agreed and must_ask(is_sure=False):
        is_agreed = typer.confirm("Have you read these terms, and do you agree to them?", err=True)
    return _own_name() if is_agreed else ""


def _own_name() -> str:
    """Return the name of the person who runs the command, behind sudo too."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # a container may have a user without a name
        return f"user {os.getuid()}"


def missing_licences(needed: Iterable[str], accepted_names: Sequence[str]) -> list[str]:
    known = {licence.casefold() for licence in accepted_names}
    return [licence for licence in needed if licence.casefold() not in known]


def check_source(source: str) -> str:
    """Check the value of `--from`, and return it. Raise CommandRefused."""
    if "://" not in source:
        if source and not Path(source).is_dir():
            raise CommandRefused(f"--from: {source} is no folder, and no address as https://…")
        return source
    try:
        return parse_address(source).url
    except FetchFailed as fault:
        raise CommandRefused(f"--from: {fault}") from None


def check_digests(digests: list[str]) -> tuple[str, ...]:
    """Check the values of `--sha256`, and return them in small letters. Raise CommandRefused."""
    for digest in digests:
        if not is_sha256(digest.lower()):
            raise CommandRefused("--sha256: it is no digest; it has 64 hex digits")
    return tuple(digest.lower() for digest in digests)


def resolve_token(reference: str, *, is_option: bool) -> str:
    """Return the secret to which `--token` (`is_option`) or the gallery refers, or "" without a reference. If
    it cannot be read, raise CommandRefused for the option, and return "" for the gallery."""
    if not reference:
        return ""
    if not reference.startswith(("env:", "file:")):
        raise CommandRefused("--token: name it, as env:NAME or file:PATH")
    try:
        return resolve(reference, os.environ, Path.cwd())
    except ConfigError as fault:
        if is_option:
            raise CommandRefused(f"--token: {fault}") from None
        return ""


def pull_and_use(
    here: CommandContext, config: Config, listed: GalleryModel, order: PullOrder, *, builds: bool, uses: bool
) -> CommandResult:
    """Pull a model, build its environment, and let the server use it. Raise ModelRefused."""
    with open_changes(config, here.form) as (store, progress):
        made = pull(store, listed, order, progress)
        stored = current_model(store, listed.name)
    loaded = registry.load()
    fault = _build_environment(here, loaded, listed.plugin) if builds else ""
    steps = use_model(config, listed, order.stands_in) if uses and listed.plugin in loaded.pullable() else []
    now = here.config()
    row = {**model_row(now, stored), "is_new": made.is_new, "is_used": bool(steps), "fault": fault}
    then = steps or next_steps(now, stored.manifest, made.is_new)
    return CommandResult(row, status=1 if fault else 0, then=then)


def add_voice(here: CommandContext, listed: GalleryModel, *, stands_in: bool) -> CommandResult:
    """Pull a voice of a language, and use it: a natural one, or one that stands in for the first models.
    Raise CommandRefused."""
    config = here.config()
    if own := own_sections(config, listed.plugin):
        raise CommandRefused(
            f"your own [engines.{own[0]}] decides for {listed.plugin}, so nothing was fetched"
        )
    say(*licence_lines(listed))
    return pull_and_use(here, config, listed, PullOrder(stands_in=stands_in), builds=True, uses=True)


def find_voice(tag: str, *, stands_in: bool) -> GalleryModel:
    """Return the natural model of a language, or the voice that stands in for it. Raise CommandRefused."""
    galleries = open_galleries(registry.load())
    listed = galleries.quick_voice(tag) if stands_in else galleries.natural_voice(tag)
    if listed is None:
        found = f"no voice of {QUICK} that may be sold can stand in for {tag[:80]!r}"
        lacking = found if stands_in else f"no natural model that may be sold speaks {tag[:80]!r}"
        raise CommandRefused(f"{lacking}. See voxgate models search --language {tag[:80]}")
    return listed


def _build_environment(here: CommandContext, loaded: Registry, plugin: str) -> str:
    """Build the environment of a plugin, unless it exists. Return the fault, or "". The model stays in any
    case."""
    try:
        with progress_line(here.form) as shown:
            build_environment(loaded, plugin, shown.build)
    except CommandRefused as refused:
        return f"{refused}\nThe model is there. To try again: voxgate env build {plugin}"
    return ""
