"""The commit of a step's sound and charge. Neither a cancellation nor an unknown result stops it."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from proxy.audio.formats import USUAL_FORMS
from proxy.audio.frames import open_frames
from proxy.storage.store import until_written
from speech_engine.host.engine_stream import run_to_end

T = TypeVar("T")
_TRIES = 6
_FRAMED = ("mp3", "aac")


def sound_facts(sound: bytes, format_: str) -> tuple[int, int | None]:
    """Return the check sum of a sound. If its frames play for longer than the sound, return their samples,
    too: each encoder adds silence before and after."""
    played = None
    if format_ in _FRAMED and (frames := open_frames(USUAL_FORMS[format_])) is not None:
        played = (frames.feed(sound) + frames.flush()).samples
    return zlib.crc32(sound), played


async def settle_to_the_end(settle: Callable[[], Awaitable[None]]) -> None:
    """Settle, also if this call is cancelled: an interrupted settlement would be refunded."""
    await to_the_end(until_written(settle, _TRIES))


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Run the work to its end, also if this call is cancelled. The cancelling is raised afterwards."""
    task = asyncio.create_task(work)
    try:
        await run_to_end(_ended(task))
    finally:
        task.exception()  # it is raised below, unless this call is cancelled
    return task.result()


async def _ended(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})
