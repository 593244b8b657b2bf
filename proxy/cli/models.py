"""`voxgate models …`: imported models. They are files below the data folder, so a server may run or not.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from proxy.cli.model_use import namers, next_steps, told_before, users
from proxy.cli.natural_file import forget_model
from proxy.cli.options import ConfigFile, Printed, be_sure
from proxy.commands.options import Sure
from proxy.commands.tables import Form, Grid, Line, Part, print_answer
from proxy.errors import CommandRefused

if TYPE_CHECKING:
    from proxy.config.sections import Config
    from proxy.engines.stored_models import BrokenModel, ModelStore, Progress, StoredModel
    from speech_engine.model_files import ModelFormat

models = typer.Typer(help="Models: files that local engines speak with.", no_args_is_help=True)

_WIDE = ("parameters", "memory", "attribution", "imported", "digest", "folder")

ModelName = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")]


@models.command("import")
def models_import(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with the files, or its main file.")],
    engine: Annotated[str, typer.Option(help="The engine or mark that will use it, or its plugin.")],
    name: Annotated[str, typer.Option(help="What the configuration will call it.")],
    licence: Annotated[str, typer.Option(help="The name of its licence: CPML, Apache-2.0, ….")],
    language: Annotated[
        list[str] | None, typer.Option(help="Only this language of it; may be repeated.")
    ] = None,
    basis: Annotated[
        str, typer.Option(help="The licence of what it was finetuned from, or its recordings' terms.")
    ] = "",
    attribution: Annotated[str, typer.Option(help="Whom to name as its maker.")] = "",
    gender: Annotated[
        list[str] | None,
        typer.Option(help="male or female, or SPEAKER=GENDER for one of several; may be repeated."),
    ] = None,
    change_licence: Annotated[
        bool, typer.Option("--change-licence", help="The name's model has another licence now.")
    ] = False,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Import a model. Its files are checked, and pickles converted."""
    from proxy.config import config_toml
    from proxy.features.models.import_order import ImportOrder, read_genders
    from proxy.features.models.importing import import_model

    config = config_toml.load(config_file)
    plugin, format_ = _format(config, engine)
    languages, genders = tuple(language or ()), read_genders(gender or ())
    order = ImportOrder(path, plugin, name, licence, languages, change_licence, basis, attribution, genders)
    for line in told_before(config, plugin, name, order.bound_by):
        print(line.text, file=sys.stderr)  # noqa: T201 - beside the answer
    with changing(config, form) as (store, progress):
        made = import_model(store, format_, order, progress)
        stored = store.find(name)
        assert stored is not None
    if made.lacks:
        print(f"note: this machine could not confine the reader: {', '.join(made.lacks)}", file=sys.stderr)  # noqa: T201
    print_answer({**row_of(config, stored), "is_new": made.is_new}, form, partial(import_result, config))


@models.command("list")
def models_list(config_file: ConfigFile = None, form: Printed = None) -> None:
    """List the imported models."""
    from proxy.config import config_toml
    from proxy.engines.stored_models import ModelStore

    config = config_toml.load(config_file)
    rows = [row_of(config, model) for model in ModelStore(config.data).every()]
    print_answer({"data": rows}, form, _models_table)


@models.command("verify")
def models_verify(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this model.")] = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Read all files again, and compare them with what was imported."""
    from proxy.config import config_toml
    from proxy.engines.stored_models import ModelStore, StoredModel, verify

    config = config_toml.load(config_file)
    store = ModelStore(config.data)
    found = _named(store, name) if name is not None else list(store.every())
    rows = []
    with _shown(form) as progress:
        for model in found:
            fault = verify(model, progress) if isinstance(model, StoredModel) else model.reason
            rows.append({**row_of(config, model), "state": "damaged" if fault else "whole", "fault": fault})
    print_answer({"data": rows}, form, _models_table)
    if any(row["fault"] for row in rows):
        sys.exit(1)


@models.command("remove")
def models_remove(
    name: ModelName,
    stale: Annotated[bool, typer.Option("--stale", help="Only versions that are not in use.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also one that the configuration names.")] = False,
    is_sure: Sure = False,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Delete a model. One that a running server uses stays."""
    from proxy.config import config_toml
    from proxy.engines.stored_models import ModelStore, StoredModel
    from proxy.features.models.changes import remove

    config = config_toml.load(config_file)
    # natural.toml is no one's to write: the command takes the name out of it.
    named_by = [section for section in namers(config, name) if section not in config.natural]
    if named_by and not stale and not force:
        raise CommandRefused(
            f"[{named_by[0]}] names {name!r}: change the configuration first, or add --force"
        )
    _named(ModelStore(config.data), name)
    what = "what is not in use of the model" if stale else "the model"
    be_sure(is_sure, f"Delete {what} {name} for good?")
    with changing(config, form) as (store, _progress):
        chosen = [
            model
            for model in _named(store, name)
            if not (stale and isinstance(model, StoredModel) and model.is_current)
        ]
        rows = [{**row_of(config, model), "state": "removed"} for model in chosen]
        for model in chosen:
            remove(model, store)
        if not stale:
            forget_model(config, name)
    print_answer({"data": rows}, form, _models_table)


def _format(config: Config, engine: str) -> tuple[str, ModelFormat]:
    """Return the plugin that an engine's name stands for, and what it can import. Raise CommandRefused."""
    from proxy.config.reader import possible
    from proxy.engines import registry

    plugin = config.engines[engine].plugin if engine in config.engines else engine
    loaded = registry.load()
    formats = {
        name: found.model_format
        for kind in ("engine", "mark")
        for name, found in loaded.plugins(kind).items()
        if found.model_format is not None
    }
    if plugin not in formats:
        raise CommandRefused(
            f"--engine: {engine!r} takes no imported model. {possible(engine, formats, 'plugins that do')}"
        )
    return plugin, formats[plugin]


def _named(store: ModelStore, name: str) -> list[StoredModel | BrokenModel]:
    home = store.home(name)
    found = [model for model in store.every() if model.folder.parent == home]
    if not found:
        raise CommandRefused(f"there is no model called {name!r} (run voxgate models list to see them)")
    return found


@contextmanager
def changing(config: Config, form: Form) -> Iterator[tuple[ModelStore, Progress]]:
    """Be the only one who changes models. What root makes belongs to the data folder's owner in the end."""
    from proxy.engines.stored_models import ModelStore
    from proxy.features.models.changes import locked
    from proxy.kept import data_folder

    data = Path(config.data)
    store = ModelStore(data)
    with _shown(form) as progress:
        with locked(store, lambda: progress("another command changes models; waiting for it", 0, 0)):
            try:
                yield store, progress
            finally:
                data_folder.give_to_owner(store.folder, data.stat())


@contextmanager
def _shown(form: Form) -> Iterator[Progress]:
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True, quiet=form is True).status("reading") as status:

        def show(what: str, done: int, of: int) -> None:
            part = f": {done / 1e6:,.0f} of {of / 1e6:,.0f} MB" if of else ""
            status.update(escape(f"{what}{part}"))

        yield show


def row_of(config: Config, model: StoredModel | BrokenModel) -> dict[str, Any]:
    from proxy.engines.stored_models import BrokenModel

    if isinstance(model, BrokenModel):
        return {"name": model.name, "state": "broken", "fault": model.reason, "folder": str(model.folder)}
    manifest = model.manifest
    return {
        "name": manifest.name,
        "state": "current" if model.is_current else "stale",
        "plugin": manifest.engine,
        "licence": manifest.licence,
        "basis": manifest.basis,
        "attribution": manifest.attribution,
        "languages": list(manifest.languages),
        "bytes": manifest.bytes,
        "parameters": manifest.parameters,
        "dtype": manifest.dtype,
        "memory_gb": manifest.memory_gb,
        "engines": users(config, manifest.name) if model.is_current else [],
        "imported_at": manifest.imported_at,
        "digest": manifest.digest,
        "folder": str(model.folder),
    }


def _models_table(answer: dict[str, Any]) -> list[Part]:
    columns = ("name", "state", "plugin", "licence", "basis", "languages", "size", "engines", *_WIDE)
    rows = [
        (
            row["name"],
            row["state"],
            row.get("plugin", ""),
            row.get("licence", ""),
            row.get("basis", ""),
            " ".join(row.get("languages", ())),
            f"{row.get('bytes', 0) / 1e6:,.0f} MB",
            ", ".join(row.get("engines", ())),
            f"{row.get('parameters', 0):,}",
            f"{row.get('memory_gb', 0):g} GB",
            row.get("attribution", ""),
            row.get("imported_at", ""),
            row.get("digest", ""),
            row["folder"],
        )
        for row in answer["data"]
    ]
    faults = [Line(f"{row['name']}: {row['fault']}", "red") for row in answer["data"] if row.get("fault")]
    return [Grid(columns, rows, _WIDE), *faults]


def import_result(config: Config, row: dict[str, Any], steps: list[Line] | None = None) -> list[Part]:
    """Say what was imported, and `steps`, or what is left to do until it is used."""
    from speech_engine.licences import bound_by, terms_of

    text = "Imported." if row["is_new"] else "These files were there already."
    lines = [Line(text), *_models_table({"data": [row]})]
    binding = bound_by(row["licence"], row["basis"])
    terms = terms_of(binding)
    if terms.must_accept:
        lines.append(Line(f"{binding}: {terms.says}.", "yellow"))
    return [*lines, *(steps or next_steps(config, row["plugin"], row["name"], binding, row["is_new"]))]
