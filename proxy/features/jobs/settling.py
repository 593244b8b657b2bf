"""The commit of a step's sound and charge, which no cancellation and no doubt breaks off."""

from __future__ import annotations

import asyncio
import zlib

from proxy.audio.formats import USUAL_FORMS
from proxy.audio.frames import open_frames
from proxy.speech.answer import Answer
from proxy.storage.store import until_written
from speech_engine.host.engine_stream import run_to_end

_TRIES = 6
_FRAMED = ("mp3", "aac")


def sound_facts(sound: bytes, format_: str) -> tuple[int, int | None]:
    """Return the check sum of a sound, and the samples that it plays for if its frames have more than it has:
    each encoder gives silence before and after."""
    played = None
    if format_ in _FRAMED and (frames := open_frames(USUAL_FORMS[format_])) is not None:
        played = (frames.feed(sound) + frames.flush()).samples
    return zlib.crc32(sound), played


async def settle_to_the_end(answer: Answer) -> None:
    """Settle, also if this call is cancelled, and raise what that raises."""
    # No client waits, and a settlement in doubt would be given back.
    task = asyncio.create_task(until_written(answer.settle, _TRIES))
    try:
        await run_to_end(_ended(task))
    finally:
        failure = task.exception()
    if failure is not None:
        raise failure


async def _ended(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})
