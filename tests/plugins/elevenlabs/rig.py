"""The ElevenLabs engine as the server runs it: its client, over a socket, to a fake that speaks tones."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
import structlog

from fakes.elevenlabs import KEY, Account, fake
from fakes.provider import Provider
from fakes.serving import served
from plugins.elevenlabs.engine import ElevenLabsEngine, create
from plugins.elevenlabs.plugin import ElevenLabsSettings
from plugins.tone.decode import decode
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import Audio, Context, Encoded, EngineError, Event, SpeechJob, Words
from speech_engine.testing import job, speaking
from tests.sound import decoded
from tests.tones import tones

VOICE = "fakeVoice01"
MODEL = "eleven_multilingual_v2"
SMALL = "eleven_fake_small"
RATE_HZ = 24_000


class Rig(NamedTuple):
    engine: ElevenLabsEngine
    account: Account
    provider: Provider
    url: str

    def bodies(self) -> list[Any]:
        return [seen.json for seen in self.provider.spoken()]


@asynccontextmanager
async def rig(*, key: str = KEY, is_fresh: bool = True, **settings: Any) -> AsyncIterator[Rig]:
    """`is_fresh`: it has asked its provider already what there is, and the fake has forgotten that."""
    account = Account()
    async with served(fake(tones, account)) as at, open_http(Upstream()) as http:
        told = msgspec.convert({"api_key": key, "base_url": at.url, **settings}, ElevenLabsSettings)
        async with create("elevenlabs", told, Context(structlog.get_logger(), http=http)) as engine:
            if is_fresh:
                await engine.refresh()
                at.provider.reset()
            yield Rig(engine, account, at.provider, at.url)


def asked(*texts: str, **more: Any) -> SpeechJob:
    """A job for a voice that the fake has. `more` replaces any of its fields."""
    return msgspec.structs.replace(job(*texts, model=MODEL, voice=VOICE), **more)


def audio_of(events: Iterable[Event]) -> bytes:
    return b"".join(
        event.pcm if isinstance(event, Audio) else event.data
        for event in events
        if isinstance(event, Audio | Encoded)
    )


def heard(audio: bytes, format_: str = "pcm") -> tuple[str, ...]:
    """The words that were spoken, by their sound; one text for each request that was made."""
    sound = decoded(audio, format_)
    return decode(sound.samples, sound.sample_rate_hz)


def words_of(spoken: SpeechJob, events: Iterable[Event]) -> list[tuple[str, float]]:
    """Each word and the second at which it begins."""
    return [
        (
            spoken.segments[event.segment].spoken[word.spoken_start : word.spoken_end],
            word.sample_offset / RATE_HZ,
        )
        for event in events
        if isinstance(event, Words)
        for word in event.words
    ]


async def refused(engine: ElevenLabsEngine, spoken: SpeechJob) -> EngineError:
    """What the job fails with before any audio."""
    events, error = await until_it_fails(engine, spoken)
    assert not audio_of(events)
    return error


async def until_it_fails(engine: ElevenLabsEngine, spoken: SpeechJob) -> tuple[list[Event], EngineError]:
    events: list[Event] = []
    try:
        async with speaking(engine, spoken) as stream:
            async for event in stream:
                events.append(event)
    except EngineError as error:
        return events, error
    raise AssertionError("the job was spoken to its end")
