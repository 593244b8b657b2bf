"""The imported models of a server: `data/models/NAME/DIGEST`, with the files and their manifest. This file
only reads them; a feature imports and removes them.

A folder appears under its name only when it is whole, and its files never change. `NAME/current` says which
of several versions is in use. A server holds a shared lock on the folders that its hosts read.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxy.config.sections import EngineSection
from proxy.engines.engine_models import (
    MODEL_PATH,
    MODEL_PATHS,
    ModelAbsent,
    StoredModel,
    strictest_licence,
)
from proxy.errors import CommandRefused
from speech_engine.model_declarations import ModelFormat, UnusableModel
from speech_engine.model_manifest import read_manifest

FOLDER = "models"
CURRENT = "current"
PROOF = "proof.json"
"""What `voxgate engines prove` found last, in the folder of a version."""
FETCH_NOTE = ".fetch"
"""The note of a fetch that runs beside a server."""
FETCH_SILENT_S = 150.0
"""A fetch that is silent for longer was killed: an index may be silent for a minute."""

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,63}"
_DIGEST = re.compile(r"[0-9a-f]{32}")
_PIECE_BYTES = 4 * 1024 * 1024

Progress = Callable[[str, int, int], None]
"""Called with the name of a file, the bytes that are done, and how many there are."""


class ModelRefused(CommandRefused):
    """A command on a model that cannot be done; the message says why."""


class BrokenModel(NamedTuple):
    """A folder without a valid manifest."""

    name: str
    folder: Path
    reason: str


class ModelStore:
    def __init__(self, data: str | Path) -> None:
        self.folder = Path(data).absolute() / FOLDER

    def stored_model(self, name: str) -> StoredModel | None:
        """Return the version of a model that is in use, or None. Raise UnusableModel if it is damaged."""
        digest = self._current_digest(name)
        if digest is None:
            return None
        folder = self.folder / name / digest
        manifest = read_manifest(folder)
        if manifest.digest != digest or manifest.name != name:
            raise UnusableModel(f"{folder}: its manifest is that of another model")
        for file in manifest.files:
            path = folder / file.name
            if not path.is_file() or path.stat().st_size != file.bytes:
                raise UnusableModel(f"{path}: it is missing, or has another size; import the model again")
        return StoredModel(manifest, folder, is_current=True)

    def every(self) -> Iterator[StoredModel | BrokenModel]:
        for home in sorted(self.folder.glob("*/")):
            if not re.fullmatch(NAME_PATTERN, home.name):
                continue
            current = self._current_digest(home.name)
            for folder in sorted(each for each in home.glob("*/") if _DIGEST.fullmatch(each.name)):
                try:
                    yield StoredModel(read_manifest(folder), folder, folder.name == current)
                except UnusableModel as fault:
                    yield BrokenModel(home.name, folder, str(fault))

    def home(self, name: str) -> Path:
        if not re.fullmatch(NAME_PATTERN, name):
            raise ModelRefused(
                f"--name: {name[:80]!r} is no name; use up to 64 small letters, digits, '.', '-' and '_'"
            )
        return self.folder / name

    def _current_digest(self, name: str) -> str | None:
        if not re.fullmatch(NAME_PATTERN, name):
            return None
        try:
            digest = (self.folder / name / CURRENT).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return digest if _DIGEST.fullmatch(digest) else None


def with_models(
    section: EngineSection, format_: ModelFormat | None, data: str
) -> tuple[EngineSection, tuple[StoredModel, ...]]:
    """Return a section whose settings have the folders of its models, and those models.

    `data` is the server's folder, which has the imported models. Raise UnusableModel with what to mend.
    """
    if section.model and format_ is None:
        raise UnusableModel(f"{section.plugin} takes no imported model; remove the line")
    models = tuple(_model_for(section.plugin, name, data) for name in model_names(section, format_, data))
    if format_ is None or not models:
        return section, ()
    strictest_licence(models)  # only for its check: two licences that must be accepted are refused
    folders = [str(model.folder) for model in models]
    chosen = {MODEL_PATHS: folders} if format_.listed_in else {MODEL_PATH: folders[0]}
    return msgspec.structs.replace(section, settings={**section.settings, **chosen}), models


def model_names(section: EngineSection, format_: ModelFormat | None, data: str) -> list[str]:
    """Return the names of the models that an engine speaks with. A plugin of several models uses all models
    of its format."""
    if section.model or format_ is None or not format_.listed_in:
        return [section.model] if section.model else []
    listed = section.settings.get(format_.listed_in)
    if isinstance(listed, list) and listed:
        return list(dict.fromkeys(name for name in listed if isinstance(name, str)))
    stored = (model for model in ModelStore(data).every() if isinstance(model, StoredModel))
    own = (model for model in stored if model.is_current and model.manifest.engine == section.plugin)
    return [model.manifest.name for model in own]


def _model_for(plugin: str, name: str, data: str) -> StoredModel:
    model = ModelStore(data).stored_model(name)
    if model is None:
        with suppress(OSError, msgspec.MsgspecError, KeyError, TypeError):
            path = ModelStore(data).folder / FETCH_NOTE
            note = msgspec.json.decode(path.read_bytes())
            is_young = time.time() - path.stat().st_mtime < FETCH_SILENT_S
            if is_young and plugin in note["plugins"] and not note["fault"]:
                raise ModelAbsent(f"{name} is not there yet: voxgate engines says how far it is fetched")
        command = (
            f"voxgate models pull {name}, or: voxgate models import PATH --engine {plugin} --name {name}"
        )
        raise ModelAbsent(f"no model called {name} has been imported; run: {command} --licence …")
    if model.manifest.engine != plugin:
        raise UnusableModel(f"{name} was imported for {model.manifest.engine}, not for {plugin}")
    return model


def verify(model: StoredModel, progress: Progress) -> str:
    """Read all files of a model again. Return the first fault, or ""."""
    for file in model.manifest.files:
        path = model.folder / file.name
        try:
            sha256, size = hash_file(path, partial(progress, file.name))
        except OSError as error:
            return f"{path}: it cannot be read: {error.strerror}"
        if (sha256, size) != (file.sha256, file.bytes):
            return f"{path}: it has changed since the import; import the model again"
    return ""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keep a model's folder from being removed, at most until this process ends. Raise OSError."""
    with open_folder(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield


@contextmanager
def open_folder(folder: Path) -> Iterator[int]:
    """Open a model's folder, and return the descriptor. Raise OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def hash_file(path: Path, progress: Callable[[int, int], None]) -> tuple[str, int]:
    """Return a file's SHA-256, and its size. Raise OSError."""
    sha256, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        while piece := file.read(_PIECE_BYTES):
            sha256.update(piece)
            done += len(piece)
            progress(done, size)
    return sha256.hexdigest(), done
