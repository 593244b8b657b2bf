"""Engines that hear what a test wrote down, requests for them, and recordings that the tone engine hears."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import httpx2
from starlette.types import Message

from proxy.audio.formats import wav_header
from speech_engine import ANY_LANGUAGE, Event, Finished, HearJob, Language, ModelInfo, Transcript
from speech_engine.hearing import TranscriptSegment, TranscriptWord
from tests.proxy.api.inside import Inside, LeavingPeer
from tests.tones import tones

TRANSCRIPTIONS, TRANSLATIONS = "/v1/audio/transcriptions", "/v1/audio/translations"
Step = Event | Exception | Callable[[], Awaitable[object]]


class Ears:
    """It hears all of a recording, then answers step by step. `jobs` and `heard_bytes` are what it got."""

    slots = 8

    def __init__(self, *script: Step, **model: object) -> None:
        usual = {"languages": (Language(ANY_LANGUAGE),), "sample_rate_hz": 16_000, "times_words": True}
        self._info = ModelInfo(**{"id": "m", "hears": True, "speaks": False, **usual, **model})  # type: ignore[arg-type]
        self.script = script
        self.jobs: list[HearJob] = []
        self.heard_bytes = 0
        self.open = 0

    def models(self) -> tuple[ModelInfo, ...]:
        return (self._info,)

    async def speak(self, _job: object) -> AsyncGenerator[Event, None]:
        for event in (AssertionError("nobody asks ears to speak"),):
            raise event
        yield Finished()

    async def transcribe(self, job: HearJob, pcm: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        self.jobs.append(job)
        self.open += 1
        try:
            async for piece in pcm:
                self.heard_bytes += len(piece)
            for step in self.script:
                if isinstance(step, Exception):
                    raise step
                if callable(step):
                    await step()
                else:
                    yield step
        finally:
            self.open -= 1


def said(text: str, start_s: float = 0.0, end_s: float = 1.0, **more: Any) -> Transcript:
    """One segment with a word for each second word of the text."""
    words = text.split()
    step_s = (end_s - start_s) / max(1, len(words))
    placed = tuple(
        TranscriptWord(start_s + number * step_s, start_s + (number + 1) * step_s, word)
        for number, word in enumerate(words)
    )
    segment = TranscriptSegment(start_s=start_s, end_s=end_s, text=text, words=placed, language="en", **more)
    return Transcript((segment,), end_s)


def whole(*transcripts: Transcript) -> tuple[Event, ...]:
    return (*transcripts, Finished())


def recorded(text: str) -> bytes:
    """A WAV that the tone engine hears as this text, with a segment for each sentence."""
    pcm = b"".join(map(tones, re.split(r"(?<=\.) ", text)))
    return wav_header(len(pcm) // 2, 24_000) + pcm


async def heard(
    server: Inside,
    audio: bytes,
    path: str = TRANSCRIPTIONS,
    key: str = "",
    **fields: Any,
) -> httpx2.Response:
    """Send a recording as the SDKs do, with an Idempotency-Key. A field of None is left out."""
    sent = {name: value for name, value in {"model": "ears", **fields}.items() if value is not None}
    async with server.client(**({"idempotency-key": key} if key else {})) as client:
        return await client.post(path, data=sent, files={"file": ("upload", audio)})


async def raw(
    server: Inside,
    audio: bytes,
    peer: LeavingPeer,
    on_sent: Callable[[Message], Awaitable[None]] | None = None,
    leaves: asyncio.Event | None = None,
    **fields: str,
) -> list[Message]:
    """The ASGI messages of an answer, for a client that may leave."""
    request = httpx2.Request(
        "POST",
        f"http://voxgate.test{TRANSCRIPTIONS}",
        data={"model": "ears", **fields},
        files={"file": ("upload", audio)},
    )
    headers = {"content-type": request.headers["content-type"]}
    return await server.raw_speech(
        request.read(), leaves, on_sent, headers=headers, peer=peer, path=TRANSCRIPTIONS
    )
