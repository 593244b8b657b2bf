"""Register the front-end `latin`, for Portuguese, Spanish and English."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from plugins.latin.front_end import LatinFrontEnd
from speech_engine.plugin import Context, Plugin


class LatinSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


@asynccontextmanager
async def create(name: str, settings: LatinSettings, context: Context) -> AsyncIterator[LatinFrontEnd]:
    yield LatinFrontEnd()


def voxgate_register() -> tuple[Plugin[LatinSettings], ...]:
    return (Plugin(kind="front_end", name="latin", settings=LatinSettings, create=create),)
