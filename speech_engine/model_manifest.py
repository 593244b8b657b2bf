"""The manifest of an imported model: `manifest.json` beside its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from speech_engine.licences import bound_by
from speech_engine.model_declarations import UnusableModel

MANIFEST = "manifest.json"
_MOST_BYTES = 1024 * 1024

ModelName = Annotated[
    str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?\Z", description="the name of an imported model")
]
"""The name of a model as a configuration has it, or "" for none."""

_FileName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")]
"""Never a path: an edited manifest must not lead out of the folder."""


class ModelFileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One stored file, with its size and its SHA-256."""

    name: _FileName
    role: str
    bytes: Annotated[int, msgspec.Meta(ge=0)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """Who agreed to the terms of a model, and when. `terms` is their text, and `page` is where they are."""

    terms: str
    page: str
    by: str
    at: str


class ModelManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The description of an imported model. `engine` is the name of the plugin that speaks with it.

    `digest` covers the engine and the files: the same files have the same digest, whenever they were
    imported. `memory_gb` is an estimate: the weights, and what the format adds for speaking. `basis` is the
    licence of the model that it was finetuned from, or the terms of its recordings; `attribution` names the
    authors.
    `genders` is by voice or speaker, "" for the only one: "male" or "female". `lufs` is their loudness, by
    the same names. `agreement` is there if the model has terms, and came by a pull.
    """

    name: str
    engine: str
    digest: str
    files: tuple[ModelFileEntry, ...]
    licence: str
    basis: str = ""
    attribution: str = ""
    genders: dict[str, str] = {}
    lufs: dict[str, float] = {}
    agreement: Agreement | None = None
    languages: tuple[str, ...] = ()
    imported_at: str = ""
    parameters: int = 0
    dtype: str = ""
    memory_gb: float = 0.0

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)

    @property
    def bound_by(self) -> str:
        """The stricter one of its own licence and its basis."""
        return bound_by(self.licence, self.basis)


def digest_of(engine: str, files: Iterable[ModelFileEntry]) -> str:
    """Return the digest of a model: 32 hex digits over its engine, and its files' names and contents."""
    lines = [engine, *sorted(f"{file.name} {file.sha256}" for file in files)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


def read_manifest(folder: Path) -> ModelManifest:
    """Return the manifest of a folder. Raise UnusableModel if it has none that makes sense."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UnusableModel(f"{path}: it is too large")
        manifest = msgspec.json.decode(path.read_bytes(), type=ModelManifest)
    except OSError as error:
        raise UnusableModel(f"{path}: it cannot be read: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise UnusableModel(f"{path}: it is no manifest of a model") from None
    if manifest.digest != digest_of(manifest.engine, manifest.files):
        raise UnusableModel(f"{path}: its digest does not belong to the files that it lists")
    return manifest


def find_manifest(folder: Path) -> ModelManifest | None:
    """Return the manifest of a folder, or None if it has none. Raise UnusableModel for a broken one."""
    return read_manifest(folder) if (folder / MANIFEST).exists() else None
