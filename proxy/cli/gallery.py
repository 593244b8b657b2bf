"""`voxgate models search` and `voxgate models pull`: models that can be had, and how one comes.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.cli.model_use import told_before
from proxy.cli.models import ModelName, changing, import_result, models, row_of
from proxy.cli.natural_file import use_model
from proxy.cli.options import ConfigFile, Printed
from proxy.cli.progress_line import progress_line
from proxy.commands.tables import Form, Grid, Line, Part, print_answer
from proxy.errors import CommandRefused

if TYPE_CHECKING:
    from proxy.engines.registry import Registry
    from proxy.engines.stored_models import ModelStore
    from proxy.features.models.listing import Galleries, Listed


__all__ = ["models"]


@models.command("search")
def models_search(
    word: Annotated[str, typer.Argument(metavar="[WORD]", help="A name, a word or a language.")] = "",
    language: Annotated[str, typer.Option(help="Only models that speak it: pt, en-GB.")] = "",
    paid: Annotated[bool, typer.Option("--paid", help="Only models that may speak for money.")] = False,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Search for models that can be pulled. Nothing is fetched."""
    from proxy.config import config_toml
    from proxy.engines.stored_models import ModelStore

    store = ModelStore(config_toml.load(config_file).data)
    galleries = _galleries()
    rows = [_found(store, each) for each in galleries.search(word, language, paid)]
    faults = [fault._asdict() for fault in galleries.faults]
    print_answer({"data": rows, "faults": faults}, form, _search_table)


@models.command("pull")
def models_pull(
    name: ModelName,
    accept: Annotated[
        list[str] | None, typer.Option(help="A licence that you have read and accept; may be repeated.")
    ] = None,
    source: Annotated[
        str,
        typer.Option("--from", metavar="FOLDER|URL", help="Where its files are instead."),
    ] = "",
    sha256: Annotated[
        list[str] | None,
        typer.Option(help="A digest that the gallery lacks; may be repeated."),
    ] = None,
    token: Annotated[str, typer.Option(help="env:NAME or file:PATH: a token for a gated model.")] = "",
    again: Annotated[bool, typer.Option("--again", help="Fetch it, though it is there.")] = False,
    change_licence: Annotated[
        bool, typer.Option("--change-licence", help="The name's model has another licence now.")
    ] = False,
    build: Annotated[
        bool,
        typer.Option("--build/--no-build", help="Build the environment that it runs in, if it is missing."),
    ] = True,
    use: Annotated[
        bool, typer.Option("--use/--no-use", help="Let the server speak with it after a restart.")
    ] = True,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Fetch a model of a gallery, and import it."""
    from proxy.config import config_toml
    from proxy.engines import registry
    from proxy.features.models.listing import open_galleries
    from proxy.features.models.pulling import PullOrder, pull

    config, loaded = config_toml.load(config_file), registry.load()
    listed = open_galleries(loaded).find(name)
    before = told_before(config, listed.plugin, name, listed.entry.bound_by)
    for line in (*terms(listed), *(each.text for each in before)):
        print(line, file=sys.stderr)  # noqa: T201 - read before anything is fetched
    order = PullOrder(
        accepted=_accepted(listed, tuple(accept or ())),
        source=_source(source),
        digests=_digests(sha256 or []),
        token=_token(token or listed.entry.token, is_named=bool(token)),
        changes_licence=change_licence,
        again=again,
    )
    with changing(config, form) as (store, progress):
        made = pull(store, listed, order, progress)
        stored = store.find(name)
        assert stored is not None
    fault = _build(loaded, listed.plugin, form) if build else ""
    is_engine = listed.plugin in loaded.plugins("engine")
    steps = [*use_model(config, listed)] if use and is_engine else []
    now = config_toml.load(config_file)
    row = {**row_of(now, stored), "is_new": made.is_new, "is_used": bool(steps), "fault": fault}
    print_answer(row, form, partial(import_result, now, steps=steps))
    if fault:
        sys.exit(1)


def _build(loaded: Registry, plugin: str, form: Form) -> str:
    """Build what a plugin runs with, unless it is there. Return why that failed; the model stays."""
    from proxy.features.models.natural_voices import build_environment

    try:
        with progress_line(form) as shown:
            build_environment(loaded, plugin, shown.build)
    except CommandRefused as refused:
        return f"{refused}\nThe model is there. To try again: voxgate env build {plugin}"
    return ""


def _galleries() -> Galleries:
    from proxy.engines import registry
    from proxy.features.models.listing import open_galleries

    return open_galleries(registry.load())


def terms(listed: Listed) -> Iterator[str]:
    """Say what an operator should know before a model is fetched."""
    from speech_engine.licences import terms_of

    entry = listed.entry
    yield f"{listed.name}: {entry.title}, for {listed.plugin}, {_size(entry.size)}"
    yield f"licence: {entry.licence} ({terms_of(entry.licence).says})"
    if entry.basis:
        yield f"basis: {entry.basis} ({terms_of(entry.basis).says})"
    if entry.attribution:
        yield f"attribution: {entry.attribution}"


def _accepted(listed: Listed, given: tuple[str, ...]) -> tuple[str, ...]:
    """Return the accepted licences. On a terminal, ask for those that are missing."""
    known = {licence.casefold() for licence in given}
    missing = [licence for licence in listed.entry.to_accept if licence.casefold() not in known]
    if not missing or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return given
    for licence in missing:
        if not typer.confirm(f"Have you read {licence}, and do you accept it?", err=True):
            return given
    return (*given, *missing)


def _source(source: str) -> str:
    from proxy.features.models.addresses import UnsafeAddress, parse_address

    if "://" not in source:
        if source and not Path(source).is_dir():
            raise CommandRefused(f"--from: {source} is no folder, and no address")
        return source
    try:
        return parse_address(source).url
    except UnsafeAddress as fault:
        raise CommandRefused(f"--from: {fault}") from None


def _digests(given: list[str]) -> tuple[str, ...]:
    from proxy.features.models.digests import is_sha256

    for digest in given:
        if not is_sha256(digest.lower()):
            raise CommandRefused("--sha256: it is no digest; it has 64 hex digits")
    return tuple(digest.lower() for digest in given)


def _token(named: str, is_named: bool) -> str:
    """Return the secret that a token's name stands for. The gallery's own variable may be missing."""
    from proxy.config.secret import SecretMissing, resolve

    if not named:
        return ""
    if not named.startswith(("env:", "file:")):
        raise CommandRefused("--token: name it, as env:NAME or file:PATH")
    try:
        return resolve(named, os.environ, Path.cwd())
    except SecretMissing as fault:
        if is_named:
            raise CommandRefused(f"--token: {fault}") from None
        return ""


def _found(store: ModelStore, listed: Listed) -> dict[str, Any]:
    from proxy.features.models.pulling import is_pulled
    from speech_engine.licences import terms_of

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
        "gated": entry.gated,
        "token": entry.token,
        "is_pulled": is_pulled(store, listed),
        "command": listed.command,
    }


def _search_table(answer: dict[str, Any]) -> list[Part]:
    columns = ("name", "engine", "languages", "voices", "size", "licence", "basis", "paid use", "pulled")
    rows = [
        (
            row["name"],
            row["engine"],
            " ".join(row["languages"]),
            _voices(row),
            _size(row["bytes"]),
            f"{row['licence']}{', gated' if row['gated'] else ''}",
            row["basis"],
            "yes" if row["paid_use"] else "no",
            "yes" if row["is_pulled"] else "",
            row["title"],
            row["command"],
        )
        for row in answer["data"]
    ]
    parts: list[Part] = [Grid((*columns, "title", "command"), rows, ("title", "command"))]
    if not rows:
        parts = [Line("No gallery has such a model.")]
    faults = [Line(f"{fault['plugin']}: {fault['reason']}", "red") for fault in answer["faults"]]
    return [*parts, *faults]


def _voices(row: dict[str, Any]) -> str:
    """Say who speaks: how many women and men, and whether anybody's own voice does."""
    genders = list(row["genders"].values())
    counted = [f"{genders.count(kind)} {kind}" for kind in dict.fromkeys(genders)]
    told = genders[:1] if len(genders) == 1 else counted
    return ", ".join([*told, *(["your own"] if row["speaks_samples"] else [])])


def _size(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size else "?"
