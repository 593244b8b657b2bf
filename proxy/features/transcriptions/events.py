"""The events of an engine that hears, with bounds for their times and texts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from math import isfinite

from msgspec.structs import replace

from speech_engine import (
    EngineFailed,
    EngineTimeout,
    Finished,
    ProviderCount,
    Transcript,
    TranscriptSegment,
)
from speech_engine.host.engine_stream import EngineStream

_MOST_CHARACTERS, _MOST_CHARACTERS_A_SECOND = 10_000, 500
"""The most characters of a transcript: a base, and so many a second. The times of a word count as ten. Fast
speech has twenty characters a second."""


async def checked_transcripts(
    stream: EngineStream,
    seconds: float,
    within_s: float,
    stall_s: float | None = None,
    count_units: Callable[[float], None] = lambda _units: None,
) -> AsyncGenerator[Transcript, None]:
    """Yield the transcripts of a recording of so many seconds. The engine has `within_s` for the first one.
    With `stall_s`, it has so long for each further one. Raises EngineTimeout, and EngineFailed for impossible
    texts and times."""
    characters, reached_s, deadline = 0, 0.0, time.monotonic() + within_s
    while True:
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                event = await stream.next_event()
        except TimeoutError:
            raise EngineTimeout("It was silent for too long.", retry_after_s=2.0) from None
        match event:
            case None:
                return
            case Transcript(segments=segments, up_to_s=up_to_s):
                characters += sum(1 + len(each.text) + 10 * len(each.words) for each in segments)
                if characters > _MOST_CHARACTERS + _MOST_CHARACTERS_A_SECOND * seconds:
                    raise EngineFailed("The engine gave far more text than the recording can have.")
                if up_to_s > reached_s and stall_s is not None:
                    reached_s, deadline = up_to_s, time.monotonic() + stall_s
                clamped = tuple([_clamped(segment, seconds) for segment in segments])
                yield Transcript(clamped, min(up_to_s, seconds))
            case ProviderCount(units=float(units)) | Finished(units=float(units)):
                count_units(units)


def _clamped(segment: TranscriptSegment, seconds: float) -> TranscriptSegment:
    """Return a segment whose times are in the recording. Raises EngineFailed if they are no numbers."""
    words = [moment for word in segment.words for moment in (word.start_s, word.end_s, word.logprob)]
    numbers = [segment.start_s, segment.end_s, *words]
    if not all(map(isfinite, numbers)):
        raise EngineFailed("The engine gave times that are no numbers.")
    start_s = min(max(0.0, segment.start_s), seconds)
    return replace(segment, start_s=start_s, end_s=min(max(start_s, segment.end_s), seconds))
