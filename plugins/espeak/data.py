"""Where the library and its data lie, and a path to the data that is short enough for the library.

It asks the extra's package for paths and loads nothing; loading is the worker's alone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from plugins.espeak.plugin import EspeakSettings
from speech_engine import EngineUnavailable

LONGEST_PATH_BYTES = 159
"""The library keeps the path in a fixed buffer; a longer one is cut, and then not found."""


class Build(msgspec.Struct, frozen=True):
    """One espeak-ng: its shared library and its data folder."""

    library: str
    data: str


def build_of(settings: EspeakSettings) -> Build:
    """The build the settings name, completed by the one of the extra."""
    if settings.library is not None and settings.data is not None:
        return Build(settings.library, settings.data)
    try:
        import espeakng_loader
    except ImportError as error:
        raise EngineUnavailable(
            "espeak-ng is not installed: install voxgate[espeak], or set `library` and `data` of the engine"
        ) from error
    return Build(
        settings.library or espeakng_loader.get_library_path(),
        settings.data or espeakng_loader.get_data_path(),
    )


@contextmanager
def short_path(data: str) -> Iterator[str]:
    """The folder itself, or where its path is too long, a link to it in a private folder while it is used."""
    if not Path(data).is_dir():
        raise EngineUnavailable(
            f"espeak-ng finds no data in {data}: the engine's `data` must name the folder"
        )
    if _fits(data):
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="espeak-") as folder:
        link = os.path.join(folder, "data")
        if not _fits(link):
            raise EngineUnavailable(
                f"espeak-ng takes no data path over {LONGEST_PATH_BYTES} bytes, and the folder for temporary "
                "files is as long: set TMPDIR to a shorter one"
            )
        os.symlink(os.path.abspath(data), link)
        yield link


def _fits(path: str) -> bool:
    return len(os.fsencode(path)) <= LONGEST_PATH_BYTES
