"""No generator is left to the garbage collector: its end would come in a task of its own, some time later."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.engines.in_process import InProcessEngine
from speech_engine import EngineError, EngineFailed, Event, Speak, SpeechJob, Started
from speech_engine.host.engine_stream import EngineStream
from tests.proxy.engines.hosts import hosted
from tests.proxy.engines.keys import Turns, cloud_engine
from tests.speech_engine.host.fakes import (
    RATE_HZ,
    FakeEngine,
    host,
    job,
    read,
    short_folder,
    speak_briefly,
    speak_for_ever,
)
from tests.speech_engine.host.fakes import Speak as SpeakFunction
from tests.tables import each_row

Open = Callable[[], EngineStream]
PLACES = ("in process", "cloud", "hosted")


async def break_off(job: SpeechJob) -> AsyncGenerator[Event, None]:
    yield Started(RATE_HZ)
    raise EngineFailed("Not today.")


class Cloud(FakeEngine):
    """A cloud engine is asked for its voices too."""

    voices = Turns(()).voices


@asynccontextmanager
async def opened(place: str, speak: SpeakFunction) -> AsyncIterator[Open]:
    if place == "in process":
        engine = InProcessEngine(FakeEngine(speak), 4)
        yield lambda: engine.open(Speak(job()))
    elif place == "cloud":
        cloud = cloud_engine(Cloud(speak))
        yield lambda: cloud.open(Speak(job()))
    else:
        with short_folder() as folder:
            async with host(FakeEngine(speak), folder / "1"), hosted(folder / "1") as voice:
                yield lambda: voice.open(Speak(job()))
                # The far side ends a cancelled call in its own time.
                while (await voice.health()).running:
                    pass


async def finish(stream: EngineStream) -> None:
    await read(stream)


async def fail(stream: EngineStream) -> None:
    with pytest.raises(EngineError):
        await read(stream)


async def cancel(stream: EngineStream) -> None:
    assert await stream.next_event() is not None
    reading = asyncio.create_task(read(stream))
    await asyncio.sleep(0.01)
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()


async def close(stream: EngineStream) -> None:
    assert await stream.next_event() is not None
    await stream.close()


@each_row("place", PLACES)
@each_row(
    ("speak", "use"),
    [(speak_briefly, finish), (break_off, fail), (speak_for_ever, cancel), (speak_for_ever, close)],
    ids=["finished", "failed", "cancelled", "closed"],
)
async def test_a_speech_leaves_no_generator_to_the_collector(
    place: str, speak: SpeakFunction, use: Callable[[EngineStream], Awaitable[None]]
) -> None:
    left: list[str] = []
    before = sys.get_asyncgen_hooks()

    def finalize(generator: AsyncGenerator[Any, Any]) -> None:
        left.append(repr(generator))
        assert before.finalizer is not None
        before.finalizer(generator)

    sys.set_asyncgen_hooks(firstiter=before.firstiter, finalizer=finalize)
    try:
        async with opened(place, speak) as open_:
            await use(open_())
        gc.collect()
    finally:
        sys.set_asyncgen_hooks(*before)
    assert left == []
