"""What holds for every cloud engine: a listener who leaves is known to the provider at once."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from functools import partial
from typing import Literal, NamedTuple

import pytest

from fakes.provider import Provider
from speech_engine import Audio, Encoded, Engine, SpeechJob
from speech_engine.testing import job
from tests.plugins.elevenlabs import rig as elevenlabs
from tests.plugins.minimax import rig as minimax
from tests.plugins.openai import upstream as openai

TEXT = "word " * 200
AT_ONCE_S = 0.5
TRIES = 3


class Cloud(NamedTuple):
    """An engine with the fake of its provider, and a job that speaks for a while."""

    engine: Engine
    provider: Provider
    job: SpeechJob


@asynccontextmanager
async def open_openai(stream: str = "audio") -> AsyncIterator[Cloud]:
    async with openai.pair(stream=stream) as (engine, provider):
        yield Cloud(engine, provider, job(TEXT, model="gpt-4o-mini-tts", voice="alloy"))


@asynccontextmanager
async def open_minimax() -> AsyncIterator[Cloud]:
    async with minimax.rig() as running:
        yield Cloud(running.engine, running.provider, minimax.speech_job(TEXT))


@asynccontextmanager
async def open_elevenlabs() -> AsyncIterator[Cloud]:
    async with elevenlabs.rig() as made:
        yield Cloud(made.engine, made.provider, elevenlabs.asked(TEXT))


Fault = Literal["hang_before", "hang_after"]
Open = Callable[[], AbstractAsyncContextManager[Cloud]]
CLOUDS: dict[str, Open] = {
    "openai": open_openai,
    "openai, events": partial(open_openai, "sse"),
    "minimax": open_minimax,
    "elevenlabs": open_elevenlabs,
}

every_cloud = pytest.mark.parametrize("open_cloud", CLOUDS.values(), ids=CLOUDS.keys())


async def _listen(cloud: Cloud, is_heard: asyncio.Event) -> None:
    async with aclosing(cloud.engine.speak(cloud.job)) as events:
        async for event in events:
            if isinstance(event, Audio | Encoded):
                is_heard.set()


async def _seconds_until_left(cloud: Cloud, since: float) -> float:
    """Return when the provider has seen its listener go, with the time that took."""
    await cloud.provider.until(lambda: cloud.provider.open == 0)
    left_at = cloud.provider.seen[-1].left_at
    assert left_at is not None
    return left_at - since


@every_cloud
@pytest.mark.parametrize("fault", ["hang_before", "hang_after"])
async def test_a_cancelled_job_hangs_up_at_once(open_cloud: Open, fault: Fault) -> None:
    seconds = []
    async with open_cloud() as cloud:
        for _ in range(TRIES):
            cloud.provider.fail(fault, after_bytes=12_000)
            is_heard = asyncio.Event()
            listener = asyncio.create_task(_listen(cloud, is_heard))
            await cloud.provider.until(lambda: cloud.provider.open == 1)
            if fault == "hang_after":
                await asyncio.wait_for(is_heard.wait(), 10.0)
            began = time.monotonic()
            listener.cancel()
            seconds.append(await _seconds_until_left(cloud, began))
            await asyncio.wait([listener])
            assert listener.cancelled()
    # The quickest of several: a busy machine may keep any one of them waiting.
    assert min(seconds) < AT_ONCE_S


@every_cloud
async def test_a_closed_job_hangs_up_at_once(open_cloud: Open) -> None:
    seconds = []
    async with open_cloud() as cloud:
        for _ in range(TRIES):
            cloud.provider.fail("hang_after", after_bytes=12_000)
            async with aclosing(cloud.engine.speak(cloud.job)) as events:
                async for event in events:
                    if isinstance(event, Audio | Encoded):
                        break
                began = time.monotonic()
            seconds.append(await _seconds_until_left(cloud, began))
    assert min(seconds) < AT_ONCE_S
