"""The front-end for Thai. It is light; the reader and its dictionaries load at the first need."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from speech_engine.values import Segment

if TYPE_CHECKING:
    from plugins.pythainlp.reader import Reader

# Without these, the library makes a folder in the user's home, and may download files.
_ALONE = {"PYTHAINLP_OFFLINE": "1", "PYTHAINLP_READ_ONLY": "1"}
_LOADING = Lock()


class ThaiFrontEnd:
    languages = ("th",)
    revision = "2"

    def __init__(self) -> None:
        self._reader: Reader | None = None

    def __repr__(self) -> str:
        return f"<ThaiFrontEnd {'loaded' if self._reader else 'not loaded'}>"

    def warm(self) -> None:
        """Load the reader, in about half a second. Otherwise the first `prepare` loads it."""
        self._loaded()

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        """Prepare a text as `FrontEnd.prepare` says. It is read as Thai, whatever `language` is."""
        return self._loaded().read(text, lexicon)

    def _loaded(self) -> Reader:
        if self._reader is None:
            with _LOADING, _environment(_ALONE):
                if self._reader is None:
                    from plugins.pythainlp.reader import Reader

                    self._reader = Reader()
        return self._reader


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set these variables for a while, then restore them.

    The library reads them while it is imported. Other code must not see them.
    """
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
