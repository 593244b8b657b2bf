"""The files of trained voices, as they come and leave. A feature reads and writes them in processes apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO, Protocol

from speech_engine.model_files import UnusableModel
from speech_engine.trained_files import TrainedFacts, TrainedFormat


class TrainedReading(Protocol):
    """What reads and writes the files of any format. All files are open ones of the system."""

    async def bring(
        self, format_: TrainedFormat, sources: Mapping[str, BinaryIO], target: BinaryIO
    ) -> TrainedFacts:
        """Write the form that is kept of files by their roles. Raises UnusableSource, UnusableModel and
        TimeoutError."""
        ...

    async def export(self, format_: TrainedFormat, kept: BinaryIO, form: str, target: BinaryIO) -> None:
        """Write a kept file in one of the format's forms. Raises UnusableModel if it lacks that, and
        TimeoutError."""
        ...


class NoTrainedReading:
    """For a server that reads no models."""

    async def bring(
        self, format_: TrainedFormat, sources: Mapping[str, BinaryIO], target: BinaryIO
    ) -> TrainedFacts:
        raise UnusableModel("this server reads no models")

    async def export(self, format_: TrainedFormat, kept: BinaryIO, form: str, target: BinaryIO) -> None:
        raise UnusableModel("this server writes no models")
