"""Register the front-end `pythainlp`. PyThaiNLP is imported only when a Thai text comes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING

from speech_engine.errors import EngineUnavailable
from speech_engine.plugin import Context, Missing, NoSettings, Plugin
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


_LIBRARY = Missing("the library pythainlp", "install voxgate with the extra thai")


@asynccontextmanager
async def create(name: str, settings: NoSettings, context: Context) -> AsyncIterator[ThaiFrontEnd]:
    # Check this at the start, not at the first text. Without the library, Thai must stay with the
    # front-end that serves the other languages.
    if missing(settings):
        raise EngineUnavailable(f"{name} needs {_LIBRARY.what}: {_LIBRARY.do}.")
    yield ThaiFrontEnd()


def missing(settings: NoSettings) -> tuple[Missing, ...]:
    return () if find_spec("pythainlp") else (_LIBRARY,)


def voxgate_register() -> tuple[Plugin[NoSettings], ...]:
    plugin = Plugin(kind="front_end", name="pythainlp", settings=NoSettings, create=create, missing=missing)
    return (plugin,)
