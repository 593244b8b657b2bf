"""The engine against its fake: a real client, a real socket, and speech that can be understood."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
import structlog

from fakes.realtime.app import RealtimeFake, served
from plugins.openai.realtime.engine import RealtimeEngine, create
from plugins.openai.realtime.settings import RealtimeSettings
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import Audio, Context, Event, SpeechJob
from speech_engine.testing import job
from tests.sound import decoded
from tests.tones import words
from tests.waiting import soon

MODEL = "gpt-realtime-2.1-mini"


class Pair(NamedTuple):
    engine: RealtimeEngine
    fake: RealtimeFake


@asynccontextmanager
async def pair(**settings: Any) -> AsyncIterator[Pair]:
    fake = RealtimeFake()
    async with served(fake) as url, open_http(Upstream()) as http:
        given = RealtimeSettings(**{"base_url": f"{url}/v1", "api_key": "sk-good", **settings})
        context = Context(structlog.get_logger(), http=http, sockets=http)
        async with create("realtime", given, context) as engine:
            yield Pair(engine, fake)


def job_of(*spoken: str, **more: Any) -> SpeechJob:
    made = job(*spoken, **{"model": MODEL, "voice": "marin", **more})
    return msgspec.structs.replace(made, deadline_s=60.0)


def heard(events: Sequence[Event], speed: float = 1.0, rate_hz: int = 24_000) -> list[str] | None:
    """What is said in the sound, frame by frame; None if it is no whole frames."""
    pcm = b"".join(event.pcm for event in events if isinstance(event, Audio))
    return words(decoded(pcm, "pcm").samples, rate_hz, speed) if pcm else []


async def settled(both: Pair) -> None:
    """Wait until no session is taken, and none has anything under way."""
    await soon(lambda: _is_settled(both))


def _is_settled(both: Pair) -> bool:
    count, idle = repr(both.engine).split("<SessionPool ")[1].rstrip(">").split(" of 8, ")
    return f"{count} idle" == idle
