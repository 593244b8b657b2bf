"""The paths of the library and its data. The path to the data is short enough for the library.

This file reads the paths from the package espeakng-loader. Only the worker loads the library.
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
"""The longest path that fits into the library's fixed buffer. A longer path is cut, and not found."""


class Build(msgspec.Struct, frozen=True):
    library: str
    data: str


def build_of(settings: EspeakSettings) -> Build:
    """Return the build that the settings name. The package's build fills in what they leave out."""
    if settings.library is not None and settings.data is not None:
        return Build(settings.library, settings.data)
    try:
        import espeakng_loader
    except ImportError as error:
        raise EngineUnavailable(
            "espeak-ng is not installed: install espeakng-loader, or set `library` and `data` of the engine"
        ) from error
    return Build(
        settings.library or espeakng_loader.get_library_path(),
        settings.data or espeakng_loader.get_data_path(),
    )


@contextmanager
def short_path(data: str) -> Iterator[str]:
    """Yield the folder. If its path is too long, yield a temporary link to it in a private folder."""
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
