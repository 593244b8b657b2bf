"""Register the front-end `pythainlp`. PyThaiNLP is imported only when a Thai text comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

import msgspec

from plugins.pythainlp.front_end import ThaiFrontEnd
from speech_engine.errors import EngineUnavailable
from speech_engine.plugin import Context, Missing, Plugin

_LIBRARY = Missing("the library pythainlp", "install voxgate with the extra thai")


class PyThaiNlpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The settings of the front-end: there are none."""


@asynccontextmanager
async def create(name: str, settings: PyThaiNlpSettings, context: Context) -> AsyncIterator[ThaiFrontEnd]:
    # Check this at the start, not at the first text. Without the library, Thai must stay with the
    # front-end that serves the other languages.
    if missing(settings):
        raise EngineUnavailable(f"{name} needs {_LIBRARY.what}: {_LIBRARY.do}.")
    yield ThaiFrontEnd()


def missing(settings: PyThaiNlpSettings) -> tuple[Missing, ...]:
    return () if find_spec("pythainlp") else (_LIBRARY,)


def voxgate_register() -> tuple[Plugin[PyThaiNlpSettings], ...]:
    plugin = Plugin(
        kind="front_end", name="pythainlp", settings=PyThaiNlpSettings, create=create, missing=missing
    )
    return (plugin,)
