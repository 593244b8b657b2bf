"""Register the detector `py3langid`. Its library is loaded only when the detector is opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec

import msgspec

from plugins.py3langid.detector import LangidDetector, load
from speech_engine.plugin import Context, Missing, Plugin

_LANGUAGES = (
    *("ar", "bg", "cs", "de", "en", "es", "fa", "fi", "fr", "ha", "hi", "hu", "id", "ig", "it", "ja", "ko"),
    *("mr", "nl", "pl", "pt", "ro", "ru", "sv", "sw", "th", "tr", "uk", "ur", "vi", "yo", "zh"),
)


class LangidSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`languages` are the only possible answers. With fewer languages, short
    texts are detected better."""

    languages: tuple[str, ...] = _LANGUAGES


@asynccontextmanager
async def create(name: str, settings: LangidSettings, context: Context) -> AsyncIterator[LangidDetector]:
    yield await asyncio.to_thread(load, settings.languages)


def missing(settings: LangidSettings) -> tuple[Missing, ...]:
    if find_spec("py3langid") is not None:
        return ()
    return (Missing("the library py3langid", "install voxgate with the extra py3langid"),)


def voxgate_register() -> tuple[Plugin[LangidSettings], ...]:
    plugin = Plugin(
        kind="detector", name="py3langid", settings=LangidSettings, create=create, missing=missing
    )
    return (plugin,)
