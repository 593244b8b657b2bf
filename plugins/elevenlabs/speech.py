"""The speech of one job: the answers to its calls in order, as one stream of events."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from plugins.elevenlabs import refusals
from plugins.elevenlabs.alignment import WordTimes
from plugins.elevenlabs.api import Api
from plugins.elevenlabs.bodies import speech_body
from plugins.elevenlabs.lines import lines
from plugins.elevenlabs.listings import SAMPLE_RATE_HZ
from plugins.elevenlabs.settings import ElevenLabsSettings
from plugins.elevenlabs.sounds import Mp3Sound, PcmSound, Sound
from speech_engine.errors import EngineFailed
from speech_engine.events import Audio, Encoded, Event, Finished, Started, Words
from speech_engine.http import HttpAnswer
from speech_engine.text.joining import Call
from speech_engine.values import SpeechJob

_NO_SOUND = re.compile(r"application/json|text/", re.IGNORECASE)
_CREDITS = re.compile(r"\d{1,9}(\.\d+)?")
_LATER_CALLS_S = 15.0
"""The limit for later calls. The job's deadline is for its first audio, which the first call gave."""


def open_sound(job: SpeechJob, settings: ElevenLabsSettings) -> tuple[Sound, str]:
    """Return the sound that takes the answer's bytes, and the format to request."""
    if "mp3" in job.formats:
        return Mp3Sound(SAMPLE_RATE_HZ, job.max_samples, settings.mp3_bits_per_s), settings.mp3
    return PcmSound(SAMPLE_RATE_HZ, job.max_samples), f"pcm_{SAMPLE_RATE_HZ}"


def query(output_format: str, settings: ElevenLabsSettings) -> dict[str, str]:
    parameters = {"output_format": output_format}
    return parameters if settings.enable_logging else parameters | {"enable_logging": "false"}


async def sound_of(api: Api, answer: HttpAnswer, sound: Sound, segment: int) -> AsyncGenerator[Event, None]:
    """Yield the audio of an answer whose body is only audio."""
    # This is a refusal or a gateway's page. Played as samples, it would be noise at full volume.
    if _NO_SOUND.match(answer.headers.get("content-type", "")):
        raise await api.refused(answer)
    async with aclosing(answer.pieces()) as pieces:
        async for piece in pieces:
            for event in sound.feed(segment, piece):
                yield event
            if sound.is_full:
                return


class Speech:
    """The speech of one job, for one use. `voice` is safe in a path."""

    def __init__(self, api: Api, settings: ElevenLabsSettings, job: SpeechJob, voice: str) -> None:
        self._api = api
        self._settings = settings
        self._job = job
        self._sound, self._format = open_sound(job, settings)
        self._path = f"/v1/text-to-speech/{voice}/stream"
        if settings.word_times:
            self._path += "/with-timestamps"

    def __repr__(self) -> str:
        return f"<Speech {self._sound!r}>"

    async def events(self, calls: tuple[Call, ...]) -> AsyncGenerator[Event, None]:
        units = 0.0
        for call in calls:
            is_first = call is calls[0]
            async with self._api.ask(
                "POST",
                self._path,
                query=query(self._format, self._settings),
                body=speech_body(call.text, self._job, self._settings),
                within_s=self._job.deadline_s if is_first else _LATER_CALLS_S,
            ) as answer:
                cost = credits_told(answer)
                units += float(len(call.text)) if cost is None else cost
                if is_first:
                    yield Started(SAMPLE_RATE_HZ)
                async with aclosing(self._call_events(answer, call)) as events:
                    async for event in events:
                        yield event
            if self._sound.is_full:
                break
            self._sound.end_of_call()
        yield Finished(units)

    async def _call_events(self, answer: HttpAnswer, call: Call) -> AsyncGenerator[Event, None]:
        begin = self._sound.samples
        if self._settings.word_times:
            events = self._timed(answer, call)
        else:
            events = sound_of(self._api, answer, self._sound, call.segment)
        async with aclosing(events):
            async for event in events:
                yield event
        if self._sound.samples == begin:
            raise EngineFailed("ElevenLabs' answer has no audio.")

    async def _timed(self, answer: HttpAnswer, call: Call) -> AsyncGenerator[Event, None]:
        times = WordTimes(call, self._job.segments, self._sound.samples, SAMPLE_RATE_HZ)
        async with aclosing(answer.pieces()) as pieces, aclosing(lines(pieces)) as found:
            async for line in found:
                if line.detail is not None:
                    raise self._api.refusal(answer, refusals.told(line.detail))
                if line.alignment is not None:
                    times.hear(line.alignment, self._sound.samples)
                for event in self._sounded(line.audio_base64 or b"", times, call):
                    yield event
                if self._sound.is_full:
                    break
        for words in times.due(self._sound.samples, is_over=not self._sound.is_full):
            yield words

    def _sounded(self, data: bytes, times: WordTimes, call: Call) -> list[Audio | Encoded | Words]:
        given = list[Audio | Encoded | Words](self._sound.feed(call.segment, data))
        return [*given, *times.due(self._sound.samples)]


def credits_told(answer: HttpAnswer) -> float | None:
    """Return the price of the answer in ElevenLabs' credits, which are not characters."""
    cost = answer.headers.get("character-cost", "")
    return float(cost) if _CREDITS.fullmatch(cost) else None
