"""What a plugin says of the files of voices that were trained for it: how they come, are kept and leave.

Nothing here needs torch. Strangers' files are read in a process that sees nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Protocol

import msgspec

from speech_engine.model_files.declarations import ModelFile, UnusableModel


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
    """What the `module` of a `TrainedFormat` knows of its files, as its name `FILES`.

    It imports no torch. A voice is kept as one file, in the format's own form. `bring` and `export` run in a
    confined process, `check` also in the server.
    """

    def bring(self, sources: Mapping[str, BinaryIO], target: BinaryIO) -> None:
        """Write the form that is kept. `sources` are by role; one of tensors is safetensors already, with its
        values as metadata. Check all that is in them first. Raises UnusableModel and UnusableSource."""
        ...

    def check(self, file: BinaryIO, size: int) -> TrainedFacts:
        """Check a file in the form that is kept, by its header alone. Raises UnusableModel."""
        ...

    def export(self, file: BinaryIO, size: int, form: str, target: BinaryIO) -> None:
        """Write a kept file in one of the format's `exports`. Raises UnusableModel if it lacks that."""
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
