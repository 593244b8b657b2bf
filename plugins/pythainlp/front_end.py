"""The front-end for Thai; light itself, it loads the reader with its dictionaries when they are needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from speech_engine.values import Segment

if TYPE_CHECKING:
    from plugins.pythainlp.reader import Reader

# The library makes a folder in the user's home, and may download, unless it is told not to.
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
        """Takes about half a second; the first `prepare` does it otherwise."""
        self._loaded()

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        """As `FrontEnd.prepare`; whatever the language, the text is read as Thai."""
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
    """Only meanwhile: the library looks at it while it is imported, and who else does must not see it."""
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
