"""A plugin's declaration of the files of its trained voices: their import, their stored form, their export.

This module needs no torch. Untrusted files are read in a confined process.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Protocol

import msgspec

from speech_engine.model_declarations import ModelFile, UnusableModel


class UnusableSource(UnusableModel):
    """One of the files of a trained voice cannot be used. `role` says which."""

    def __init__(self, role: str, message: str) -> None:
        super().__init__(message)
        self.role = role


class TrainedFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A description of a voice's file, for people: `parameters`, and words such as its version."""

    parameters: int
    words: dict[str, str] = {}


class TrainedFiles(Protocol):
    """The operations on the files of a `TrainedFormat`: the name `FILES` of its `module`.

    It imports no torch. A voice is stored as one file, in the format's own form. `bring` and `export` run in
    a confined process, `check` also in the server.
    """

    def bring(self, sources: Mapping[str, BinaryIO], target: BinaryIO) -> None:
        """Write the stored form. `sources` are by role; a file of tensors is safetensors already, with its
        values as metadata. Check their whole contents first. Raises UnusableModel and UnusableSource."""
        ...

    def check(self, file: BinaryIO, size: int) -> TrainedFacts:
        """Check a file in the stored form, by its header alone. Raises UnusableModel."""
        ...

    def export(self, file: BinaryIO, size: int, form: str, target: BinaryIO) -> None:
        """Write a stored file in one of the format's `exports`. Raises UnusableModel if it lacks that."""
        ...


class TrainedFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The format of a plugin's trained voices; a model takes them by its `trained_format`.

    `sources` are the files in which a voice comes, the first of which must be there: those of tensors are
    read as `ModelFile` says, others as they are. `exports` are the forms in which it leaves, as endings of
    names. `module` has the rest, under the name FILES.
    """

    name: str
    module: str
    sources: tuple[ModelFile, ...]
    exports: tuple[str, ...]
