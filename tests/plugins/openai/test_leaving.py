"""Nobody listens any more: the server is told at once, and nothing of the connection stays."""

import asyncio
import time
from contextlib import aclosing
from typing import Any

import psutil
import pytest
import structlog

from fakes.openai.app import provider
from fakes.serving import served
from plugins.openai.engine import create
from plugins.openai.settings import OpenAISettings
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import Context, Engine, Finished
from speech_engine.testing import collect, job
from tests.plugins.openai.upstream import pair
from tests.tables import soak

JOB = job("Hello there, world.", model="gpt-4o-mini-tts", voice="alloy")
AT_ONCE = 20


async def _until_cancelled(engine: Engine, has_begun: asyncio.Event) -> None:
    async with aclosing(engine.speak(JOB)) as events:
        async for _ in events:
            has_begun.set()


async def test_enough_samples_are_enough() -> None:
    limited: Any = job("Hello there, world.", model="tts-1", voice="alloy", max_samples=4_800)
    async with pair() as (engine, fake):
        fake.fail("hang_after", after_bytes=12_000)
        assert isinstance((await collect(engine, limited))[-1], Finished)
        await fake.until(lambda: fake.open == 0)


@pytest.mark.parametrize("count", [200, *soak(1_000)])
async def test_cancelled_jobs_leave_no_connection(count: int) -> None:
    async with served(provider()) as fake, open_http(Upstream()) as http:
        settings = OpenAISettings(base_url=f"{fake.url}/v1")
        async with create("openai", settings, Context(structlog.get_logger(), http=http)) as engine:
            await collect(engine, JOB)
            sockets = _sockets()
            fake.provider.fail("hang_after", after_bytes=12_000, count=count)
            for _ in range(count // AT_ONCE):
                await asyncio.gather(*[_begun_and_cancelled(engine) for _ in range(AT_ONCE)])
            await fake.provider.until(lambda: fake.provider.open == 0)
            assert sum(seen.left_at is not None for seen in fake.provider.seen) == count
            assert isinstance((await collect(engine, JOB))[-1], Finished)
            # The last answer's own connection is kept for the next one, as the first one's was.
            assert fake.connections <= 1
            assert _sockets() <= sockets


async def _begun_and_cancelled(engine: Engine) -> float:
    """When it was cancelled, on the clock that the fake has too."""
    has_begun = asyncio.Event()
    speaking = asyncio.create_task(_until_cancelled(engine, has_begun))
    await has_begun.wait()
    cancelled = time.monotonic()
    speaking.cancel()
    await asyncio.wait([speaking])
    return cancelled


def _sockets() -> int:
    return len(psutil.Process().net_connections("tcp"))
