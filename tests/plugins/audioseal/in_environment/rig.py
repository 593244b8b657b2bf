"""The tiny model in a folder, and opened as the host opens it."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path

from plugins.audioseal.networks import Networks, load_networks
from plugins.audioseal.plugin import AudioSealSettings
from plugins.audioseal.worker import AudioSealMark, voxgate_register
from speech_engine import Context
from speech_engine.host.log import HostLogger
from tests.plugins.audioseal.tiny import write_model

LOG = HostLogger("audioseal")


@cache
def model() -> Path:
    return write_model(Path(tempfile.mkdtemp()) / "tiny")


@cache
def networks() -> Networks:
    return load_networks(model(), 1)


async def opened(settings: AudioSealSettings, stack: AsyncExitStack) -> AudioSealMark:
    (plugin,) = voxgate_register()
    created = plugin.create("audioseal", settings, Context(LOG))  # type: ignore[operator]
    made: AudioSealMark = await stack.enter_async_context(created)
    return made


def mark(strength: float = 1.0) -> AudioSealMark:
    return AudioSealMark(networks(), strength)


def refusal(settings: AudioSealSettings) -> str:
    async def refused() -> None:
        async with AsyncExitStack() as stack:
            await opened(settings, stack)

    try:
        asyncio.run(refused())
    except Exception as error:  # noqa: BLE001 - what the operator is told
        return f"{type(error).__name__}: {error}"
    return ""
