"""The plugin against its fake: a real client, a real socket, and speech that can be understood."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog

from fakes.openai.app import provider
from fakes.provider import Provider
from fakes.serving import served
from plugins.openai.engine import OpenAIEngine, create
from plugins.openai.settings import OpenAISettings
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import Audio, Context, Encoded, Engine, EngineError, Event, SpeechJob
from speech_engine.samples import NO_SAMPLES, SampleReader
from speech_engine.testing import speaking
from tests.tones import tones


class Pair(NamedTuple):
    engine: OpenAIEngine
    provider: Provider


@asynccontextmanager
async def pair(server: str = "", samples: SampleReader = NO_SAMPLES, **settings: Any) -> AsyncIterator[Pair]:
    """An engine and the fake it asks; `server` is one of the fake's habits."""
    prefix = f"/{server}/v1" if server else "/v1"
    async with served(provider(tones)) as fake, open_http(Upstream()) as http:
        given = OpenAISettings(**{"base_url": fake.url + prefix, "api_key": "sk-good", **settings})
        context = Context(structlog.get_logger(), http=http, samples=samples)
        async with create("openai", given, context) as engine:
            yield Pair(engine, fake.provider)


async def until_it_fails(engine: Engine, job: SpeechJob) -> tuple[list[Event], EngineError | None]:
    """What came before the failure, and the failure."""
    events: list[Event] = []
    try:
        async with speaking(engine, job) as stream:
            async for event in stream:
                events.append(event)
    except EngineError as error:
        return events, error
    return events, None


def pcm_of(events: Sequence[Event]) -> bytes:
    return b"".join(event.pcm for event in events if isinstance(event, Audio))


def mp3_of(events: Sequence[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, Encoded))
