"""Register the front-end `plain`, which serves every language without another front-end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from plugins.plain.front_end import PlainFrontEnd
from speech_engine.plugin import Context, Plugin


class PlainSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


@asynccontextmanager
async def create(name: str, settings: PlainSettings, context: Context) -> AsyncIterator[PlainFrontEnd]:
    yield PlainFrontEnd()


def voxgate_register() -> tuple[Plugin[PlainSettings], ...]:
    return (Plugin(kind="front_end", name="plain", settings=PlainSettings, create=create),)
