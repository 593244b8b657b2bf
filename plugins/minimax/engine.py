"""The MiniMax engine. It speaks a job's calls in order as one stream, and manages the account's voices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgspec

from plugins.minimax import voices
from plugins.minimax.api import Api, Exchange
from plugins.minimax.models import MODELS, MOST_CHARACTERS, SAMPLE_RATE_HZ
from plugins.minimax.output import Output, output_for
from plugins.minimax.plugin import MinimaxSettings
from plugins.minimax.reading import SpeechReader, billed_characters
from plugins.minimax.request import speech_body
from speech_engine import Context, Event, Finished, ModelInfo, SpeechJob, Started, VoiceInfo, errors
from speech_engine.cloud import joined

_SLOTS = 16
_READ_OUT_S = 0.25
_SPEECH_PATH = "/v1/t2a_v2"


class MinimaxEngine(voices.Cloner):
    slots = _SLOTS
    # MiniMax lists a new voice of the account only after its first use.
    tries_unknown_voices = True

    def __init__(self, settings: MinimaxSettings, context: Context) -> None:
        self._settings = settings
        super().__init__(Api(settings, context))
        self._voices: tuple[VoiceInfo, ...] = ()
        self.unlisted_voices: tuple[str, ...] | None = None  # None: no list was read yet

    def models(self) -> tuple[ModelInfo, ...]:
        if self._settings.stream:
            return MODELS
        # Nothing comes before all is made, which takes long for a long text.
        return tuple(msgspec.structs.replace(each, first_audio_s=self._settings.silence_s) for each in MODELS)

    def voices(self) -> tuple[VoiceInfo, ...]:
        return self._voices

    async def refresh(self) -> None:
        known = await voices.known(self._api)
        self._voices = known.listed(with_own=self._settings.own_voices)
        shown = {voice.id for voice in self._voices}
        self.unlisted_voices = tuple(id_ for id_ in known.ids if id_ not in shown)

    async def speak(self, job: SpeechJob) -> AsyncGenerator[Event, None]:
        if all(job.model != model.id for model in MODELS):
            raise errors.EngineFailed(f"MiniMax has no model {job.model!r}.")
        output = output_for(job, self._settings.bitrate)
        calls = joined(job.segments, MOST_CHARACTERS)
        bodies = [speech_body(self._settings, job, call.text, output.format) for call in calls]
        units = 0
        yield Started(SAMPLE_RATE_HZ)
        for number, (call, body) in enumerate(zip(calls, bodies, strict=True)):
            # The deadline is for the job's first audio. A later call may wait as long as a gap in an answer.
            within_s = self._settings.silence_s if number else job.deadline_s
            output.begin()
            async with self._api.open(_SPEECH_PATH, body, within_s) as exchange:
                reader = SpeechReader(exchange.raise_error)
                while not (reader.is_over or output.is_full) and (piece := await exchange.next_piece()):
                    for event in _events(output, call.segment, reader.feed(piece)):
                        yield event
                if not output.is_full:
                    await _read_out(exchange)
                    for event in _events(output, call.segment, reader.flush()):
                        yield event
            # MiniMax may not say what it billed.
            units += billed_characters(body.text) if reader.units is None else reader.units
            if output.is_full:
                break
        yield Finished(units=float(units))


def _events(output: Output, segment: int, parts: Iterator[bytes]) -> Iterator[Event]:
    for audio in parts:
        yield from output.events(segment, audio)
        if output.is_full:
            return


async def _read_out(exchange: Exchange) -> None:
    """Read an answer to its end after its audio is complete. A connection is used again only after that."""
    try:
        async with asyncio.timeout(_READ_OUT_S):
            while await exchange.next_piece():
                pass
    except (TimeoutError, errors.EngineError):
        return


@asynccontextmanager
async def create(name: str, settings: MinimaxSettings, context: Context) -> AsyncIterator[MinimaxEngine]:
    yield MinimaxEngine(settings, context)
