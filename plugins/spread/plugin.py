"""Register the mark `spread`. Its arithmetic is loaded only when the mark is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import msgspec

from speech_engine.plugin import Context, Plugin

if TYPE_CHECKING:
    from plugins.spread.spread_mark import SpreadMark


class SpreadSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`strength` scales the mark: 2 doubles its amplitude, which is easier to find, and to hear."""

    strength: Annotated[float, msgspec.Meta(ge=0.5, le=2.0)] = 1.0


@asynccontextmanager
async def create(name: str, settings: SpreadSettings, context: Context) -> AsyncIterator[SpreadMark]:
    # The import is here because registering a plugin must not load numpy.
    from plugins.spread.spread_mark import SpreadMark

    yield SpreadMark(settings.strength)


def voxgate_register() -> tuple[Plugin[SpreadSettings], ...]:
    return (Plugin(kind="mark", name="spread", settings=SpreadSettings, create=create),)
