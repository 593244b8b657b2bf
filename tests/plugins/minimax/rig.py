"""The MiniMax engine as the server runs it: its client, over a real socket, to a fake that speaks tones."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
import numpy as np
import structlog

from fakes.minimax.account import Account
from fakes.minimax.app import KEY, FakeMinimax
from fakes.provider import Provider
from fakes.serving import ServedApp, served
from plugins.minimax.engine import MinimaxEngine, create
from plugins.minimax.plugin import MinimaxSettings
from plugins.tone.decode import decode
from plugins.tone.frames import Clock, frame_symbols, symbol_pcm
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import Audio, Context, Encoded, EngineError, Event, SpeechJob
from speech_engine.testing import collect, job
from tests.sound import decoded

VOICE = "English_expressive_narrator"
MODEL = "speech-2.8-hd"
RATE_HZ = 24_000


class Rig(NamedTuple):
    engine: MinimaxEngine
    fake: FakeMinimax
    at: ServedApp

    @property
    def provider(self) -> Provider:
        return self.fake.provider

    def bodies(self) -> list[Any]:
        return [seen.json for seen in self.provider.spoken()]


@asynccontextmanager
async def rig(
    account: Account | None = None,
    key: str = KEY,
    others: Mapping[str, Account] = MappingProxyType({}),
    **settings: Any,
) -> AsyncIterator[Rig]:
    fake = FakeMinimax(toned, account=account, others=others)
    async with served(fake.provider) as at, open_http(Upstream()) as http:
        section = msgspec.convert({"api_key": key, "base_url": at.url, **settings}, MinimaxSettings)
        async with create("minimax", section, Context(structlog.get_logger(), http=http)) as engine:
            yield Rig(engine, fake, at)


def toned(text: str) -> bytes:
    """Return the tone engine's speech of a text. The sound can be decoded back to the text."""
    return b"".join(symbol_pcm(frame_symbols(text), Clock(RATE_HZ, 1.0), 0))


def speech_job(*texts: str, **more: Any) -> SpeechJob:
    """Return a job for the fake's own voice. `more` replaces any of its fields."""
    return msgspec.structs.replace(job(*texts, model=MODEL, voice=VOICE), **more)


def audio_of(events: tuple[Event, ...] | list[Event]) -> bytes:
    return b"".join(
        event.pcm if isinstance(event, Audio) else event.data
        for event in events
        if isinstance(event, Audio | Encoded)
    )


def words_of(events: tuple[Event, ...], format_: str = "pcm") -> tuple[str, ...]:
    """Decode the spoken words from their sound."""
    sound = decoded(audio_of(events), format_)
    return decode(np.asarray(sound.samples), sound.sample_rate_hz)


async def error_of(engine: MinimaxEngine, job: SpeechJob) -> EngineError:
    """Return the error that the job fails with. The audio before it does not matter."""
    try:
        await collect(engine, job)
    except EngineError as error:
        return error
    raise AssertionError("the job was spoken to its end")
