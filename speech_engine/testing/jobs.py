"""Jobs with sensible defaults, and ways to run a job on an engine. The contract suite uses them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import count

from speech_engine.engine import Engine
from speech_engine.events import Event, Started
from speech_engine.testing.rules import require
from speech_engine.values import EngineVoice, Segment, SpeechJob, Voice

_numbers = count(1)


def job(
    *spoken: str,
    model: str = "standard",
    voice: str | Voice = "tone",
    language: str = "en",
    speed: float = 1.0,
    formats: tuple[str, ...] = (),
    max_samples: int | None = None,
) -> SpeechJob:
    """Return a job with one segment for each string, as if the user had written exactly these in a row.

    To set another field, a test writes `msgspec.structs.replace(job(...), pitch=2.0)`.
    """
    segments: list[Segment] = []
    start = 0
    for sentence in spoken:
        segments.append(Segment(sentence, start, start + len(sentence)))
        start += len(sentence)
    return SpeechJob(
        id=f"job-{next(_numbers)}",
        tenant="contract",
        model=model,
        voice=EngineVoice(voice) if isinstance(voice, str) else voice,
        segments=tuple(segments),
        language=language,
        speed=speed,
        formats=formats,
        max_samples=max_samples,
    )


@asynccontextmanager
async def speaking(engine: Engine, job: SpeechJob) -> AsyncIterator[AsyncGenerator[Event, None]]:
    """Give the job's events. The end of the block closes the engine's generator, as the server does."""
    events = engine.speak(job)
    # A plugin may be untyped, and without aclose() its generator could never be stopped.
    require(hasattr(events, "aclose"), "speak() gives an async generator, or what has its aclose()")
    async with aclosing(events):
        yield events


async def collect(engine: Engine, job: SpeechJob) -> tuple[Event, ...]:
    """Return all events of the job, in order. An error of the engine passes through."""
    async with speaking(engine, job) as events:
        return tuple([event async for event in events])


async def cancel_oneself(engine: Engine, job: SpeechJob) -> bool:
    """Cancel the task that runs this, in the middle of an answer.

    If the engine behaves, this never returns. False says that the answer came to its end.
    """
    # The task cancels itself, so that even a fast engine gets the cancellation at its next wait.
    task = asyncio.current_task()
    async with speaking(engine, job) as events:
        async for event in events:
            if task is not None and isinstance(event, Started):
                task.cancel()
    return False
