"""The work of `voxgate models list`, `verify`, `remove` and `import`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape

from proxy.commands.command import CommandContext, CommandResult
from proxy.commands.options import confirm_or_refuse
from proxy.commands.tables import PrintForm
from proxy.config.reader import names_hint
from proxy.config.sections import Config
from proxy.engines import registry
from proxy.engines.engine_models import StoredModel
from proxy.errors import CommandRefused
from proxy.features.models.changes import hold_change_lock, remove_version
from proxy.features.models.import_order import ImportOrder
from proxy.features.models.importing import import_model
from proxy.features.models.model_use import engines_using, licence_notes, next_steps, sections_naming
from proxy.features.models.natural_file import forget_model, give_to_owner_after
from proxy.hosts.environments.progress_line import ProgressLine, say
from proxy.hosts.stored_models import PROOF, BrokenModel, ModelStore, Progress, verify
from speech_engine.model_files import ModelFormat

_Version = StoredModel | BrokenModel


@contextmanager
def reading(form: PrintForm) -> Iterator[Progress]:
    """Show which file is read, on a terminal alone. With --json nothing is shown."""
    with Console(stderr=True, quiet=form is True).status("reading") as status:
        yield ProgressLine(lambda text: status.update(escape(text)), is_terminal=True).fetch


def import_by_hand(
    here: CommandContext, config: Config, format_: ModelFormat, order: ImportOrder
) -> CommandResult:
    """Import a model of the operator's own files. Raise ModelRefused."""
    say(*(line.text for line in licence_notes(config, order.engine, order.name, order.bound_by)))
    with open_changes(config, here.form) as (store, progress):
        made = import_model(store, format_, order, progress)
        stored = current_model(store, order.name)
    if made.lacks:
        say(f"note: this machine could not confine the reader: {', '.join(made.lacks)}")
    row = {**model_row(config, stored), "is_new": made.is_new}
    return CommandResult(row, then=next_steps(config, stored.manifest, made.is_new))


def list_models(config: Config) -> dict[str, Any]:
    return {"data": [model_row(config, model) for model in ModelStore(config.data).every()]}


def verify_models(here: CommandContext, name: str | None) -> dict[str, Any]:
    config = here.config()
    store = ModelStore(config.data)
    found = _find_versions(store, name) if name is not None else list(store.every())
    rows = []
    with reading(here.form) as progress:
        for model in found:
            fault = verify(model, progress) if isinstance(model, StoredModel) else model.reason
            rows.append(
                {**model_row(config, model), "state": "damaged" if fault else "whole", "fault": fault}
            )
    return {"data": rows}


def remove_versions(
    here: CommandContext, name: str, *, stale: bool, force: bool, is_sure: bool
) -> dict[str, Any]:
    """Delete a model, or only its `stale` versions. Raise CommandRefused."""
    config = here.config()
    # The command itself removes the name from natural.toml.
    named_by = [section for section in sections_naming(config, name) if section not in config.natural]
    if named_by and not stale and not force:
        raise CommandRefused(
            f"[{named_by[0]}] names {name!r}: change the configuration first, or add --force"
        )
    _find_versions(ModelStore(config.data), name)
    what = "what is not in use of the model" if stale else "the model"
    confirm_or_refuse(is_sure, f"Delete {what} {name} for good?")
    with open_changes(config, here.form) as (store, _progress):
        chosen = [
            model
            for model in _find_versions(store, name)
            if not (stale and isinstance(model, StoredModel) and model.is_current)
        ]
        rows = [{**model_row(config, model), "state": "removed"} for model in chosen]
        for model in chosen:
            remove_version(model, store)
        if not stale:
            forget_model(config, name)
    return {"data": rows}


def find_import_format(config: Config, engine: str) -> tuple[str, ModelFormat]:
    """Return the plugin of an engine, and the format of its imported models. Raise CommandRefused."""
    plugin = config.engines[engine].plugin if engine in config.engines else engine
    loaded = registry.load()
    formats = {
        name: found.model_format
        for name, found in loaded.plugins("engine").items()
        if found.model_format is not None
    }
    if plugin not in formats:
        raise CommandRefused(
            f"--engine: {engine!r} takes no imported model. {names_hint(engine, formats, 'plugins that do')}"
        )
    return plugin, formats[plugin]


def _find_versions(store: ModelStore, name: str) -> list[_Version]:
    home = store.home(name)
    found = [model for model in store.every() if model.folder.parent == home]
    if not found:
        raise CommandRefused(f"there is no model called {name!r} (run voxgate models list to see them)")
    return found


@contextmanager
def open_changes(config: Config, form: PrintForm) -> Iterator[tuple[ModelStore, Progress]]:
    """Hold the lock of all changes. Yield the store, and the call that shows progress. Raise ModelRefused."""
    store = ModelStore(config.data)
    with reading(form) as progress:
        with hold_change_lock(
            store, lambda: progress("another command changes models; waiting for it", 0, 0)
        ):
            with give_to_owner_after(config, store.folder):
                yield store, progress


def current_model(store: ModelStore, name: str) -> StoredModel:
    """Return the current version of a model. The caller holds the lock of all changes, and knows that it is
    stored."""
    stored = store.stored_model(name)
    assert stored is not None
    return stored


def model_row(config: Config, model: _Version) -> dict[str, Any]:
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
        "agreement": msgspec.to_builtins(manifest.agreement),
        "languages": list(manifest.languages),
        "bytes": manifest.bytes,
        "parameters": manifest.parameters,
        "dtype": manifest.dtype,
        "memory_gb": manifest.memory_gb,
        "engines": engines_using(config, manifest.name) if model.is_current else [],
        "imported_at": manifest.imported_at,
        "digest": manifest.digest,
        "folder": str(model.folder),
        "proof": _last_proof(model.folder),
    }


def _last_proof(folder: Path) -> dict[str, Any] | None:
    """Return what `voxgate engines prove` found last, and when."""
    try:
        proof: dict[str, Any] = msgspec.json.decode((folder / PROOF).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return None
    return proof
