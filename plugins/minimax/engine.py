"""The MiniMax engine. It speaks a job's calls in order as one stream, and manages the account's voices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from plugins.minimax import usage, voices
from plugins.minimax.api import Api, Exchange
from plugins.minimax.models import MODELS, MOST_CHARACTERS, SAMPLE_RATE_HZ
from plugins.minimax.output import Output, output_for
from plugins.minimax.reading import SpeechReader
from plugins.minimax.request import speech_body
from plugins.minimax.settings import MinimaxSettings
from plugins.minimax.wire import SpeechBody
from speech_engine import (
    CloneRequest,
    Context,
    EngineError,
    EngineFailed,
    Event,
    Finished,
    ModelInfo,
    SpeechJob,
    Started,
    VoiceInfo,
)
from speech_engine.text.joining import joined

_SLOTS = 16
_END_S = 0.25
_SPEECH = "/v1/t2a_v2"


class MinimaxEngine:
    slots = _SLOTS

    def __init__(self, name: str, settings: MinimaxSettings, context: Context) -> None:
        self._name = name
        self._settings = settings
        self._api = Api(settings, context)
        self._voices: tuple[VoiceInfo, ...] = ()

    def __repr__(self) -> str:
        return f"<MinimaxEngine {self._name}, {len(self._voices)} voices>"

    def models(self) -> tuple[ModelInfo, ...]:
        return MODELS

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices

    async def refresh(self) -> None:
        self._voices = await voices.listed(self._api, with_own=self._settings.own_voices)

    async def clone(self, request: CloneRequest) -> str:
        return await voices.cloned(self._api, request)

    async def delete_voice(self, id: str) -> None:
        await voices.deleted(self._api, id)

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if all(job.model != model.id for model in MODELS):
            raise EngineFailed(f"MiniMax has no model {job.model!r}.")
        output = output_for(job, self._settings.bitrate)
        calls = joined(job.segments, MOST_CHARACTERS)
        bodies = [speech_body(self._settings, job, call.text, output.format) for call in calls]
        units = 0
        yield Started(SAMPLE_RATE_HZ)
        for number, (call, body) in enumerate(zip(calls, bodies, strict=True)):
            # The deadline is for the job's first audio. A later call may wait as long as a gap in an answer.
            speech = _Speech(self._api, body, self._settings.silence_s if number else job.deadline_s)
            output.begin()
            async with aclosing(speech.events(output, call.segment)) as events:
                async for event in events:
                    yield event
            units += speech.units
            if output.is_full:
                break
        yield Finished(units=float(units))


class _Speech:
    """One call. `units` is the number that MiniMax says it billed, or our own count if it says none."""

    def __init__(self, api: Api, body: SpeechBody, within_s: float) -> None:
        self.units = usage.characters(body.text)
        self._api = api
        self._body = body
        self._within_s = within_s

    async def events(self, output: Output, segment: int) -> AsyncGenerator[Event, None]:
        async with self._api.open(_SPEECH, self._body, self._within_s) as exchange:
            async with aclosing(self._audio(exchange)) as parts:
                async for audio in parts:
                    for event in output.events(segment, audio):
                        yield event
                    if output.is_full:
                        return

    async def _audio(self, exchange: Exchange) -> AsyncGenerator[bytes, None]:
        reader = SpeechReader(exchange.judge)
        async with aclosing(exchange.pieces()) as pieces:
            async for piece in pieces:
                for audio in reader.feed(piece):
                    yield audio
                if reader.is_over:
                    await _read_out(pieces)
        for audio in reader.flush():
            yield audio
        self.units = self.units if reader.units is None else reader.units


async def _read_out(pieces: AsyncGenerator[bytes, None]) -> None:
    """Read an answer to its end after its audio is complete. A connection is used again only after that."""
    try:
        async with asyncio.timeout(_END_S):
            async for _ in pieces:
                pass
    except (TimeoutError, EngineError):
        return


@asynccontextmanager
async def create(name: str, settings: MinimaxSettings, context: Context) -> AsyncIterator[MinimaxEngine]:
    yield MinimaxEngine(name, settings, context)
