"""Register the mark `spread`. Its arithmetic is loaded only when the mark is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from speech_engine.plugin import Context, Plugin

if TYPE_CHECKING:
    from plugins.spread.spread_mark import SpreadMark


class SpreadSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


@asynccontextmanager
async def create(name: str, settings: SpreadSettings, context: Context) -> AsyncIterator[SpreadMark]:
    # The import is here because registering a plugin must not load numpy.
    from plugins.spread.spread_mark import SpreadMark

    yield SpreadMark()


def voxgate_register() -> tuple[Plugin[SpreadSettings], ...]:
    return (Plugin(kind="mark", name="spread", settings=SpreadSettings, create=create),)
