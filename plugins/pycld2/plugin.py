"""Register the detector `pycld2`. The server uses it unless another detector is named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from plugins.pycld2.detector import Cld2Detector
from speech_engine.plugin import Context, Plugin


class Cld2Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """There is nothing to set."""


@asynccontextmanager
async def create(name: str, settings: Cld2Settings, context: Context) -> AsyncIterator[Cld2Detector]:
    yield Cld2Detector()


def voxgate_register() -> tuple[Plugin[Cld2Settings], ...]:
    return (Plugin(kind="detector", name="pycld2", settings=Cld2Settings, create=create),)
