"""The speech of one job: the answers to its calls in order, as one stream of events."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator

import msgspec

from plugins.elevenlabs import refusals
from plugins.elevenlabs.alignment import Line, LineReader, WordTimes
from plugins.elevenlabs.api import Api
from plugins.elevenlabs.listings import SAMPLE_RATE_HZ
from plugins.elevenlabs.plugin import ElevenLabsSettings
from plugins.elevenlabs.sounds import Mp3Sound, PcmSound, Sound
from speech_engine.cloud import Call
from speech_engine.errors import EngineFailed
from speech_engine.events import Audio, Encoded, Event, Finished, Started, Words
from speech_engine.http import HttpAnswer
from speech_engine.values import SpeechJob


class VoiceSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    stability: float | None = None
    similarity_boost: float | None = None
    style: float | None = None
    use_speaker_boost: bool | None = None
    speed: float = 1.0

    @classmethod
    def of(cls, settings: ElevenLabsSettings, speed: float = 1.0) -> VoiceSettings | None:
        body = cls(
            settings.stability, settings.similarity_boost, settings.style, settings.use_speaker_boost, speed
        )
        return None if body == cls() else body


class SpeechBody(msgspec.Struct, frozen=True, omit_defaults=True):
    text: str
    model_id: str
    language_code: str | None = None
    voice_settings: VoiceSettings | None = None
    seed: int | None = None
    apply_text_normalization: str = "auto"

    def __repr__(self) -> str:
        return f"<SpeechBody {self.model_id}, {len(self.text)} characters>"


def speech_body(text: str, job: SpeechJob, settings: ElevenLabsSettings) -> SpeechBody:
    return SpeechBody(
        text=text,
        model_id=job.model,
        # ElevenLabs knows no regions. A model that detects the language ignores this field.
        language_code=job.language.partition("-")[0],
        voice_settings=VoiceSettings.of(settings, job.speed),
        seed=job.seed,
        apply_text_normalization=settings.text_normalization,
    )


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


async def expect_sound(api: Api, answer: HttpAnswer) -> None:
    """Raise the error of an answer that should be only audio, and is a refusal or a gateway's page."""
    # Played as samples, it would be noise at full volume.
    if _NO_SOUND.match(answer.headers.get("content-type", "")):
        raise await api.error_of(answer)


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

    async def events(self, calls: tuple[Call, ...]) -> AsyncGenerator[Event, None]:
        units = 0.0
        for call in calls:
            is_first = call is calls[0]
            async with self._api.exchange(
                "POST",
                self._path,
                query=query(self._format, self._settings),
                body=speech_body(call.text, self._job, self._settings),
                within_s=self._job.deadline_s if is_first else _LATER_CALLS_S,
            ) as answer:
                cost = credits_of(answer)
                units += float(len(call.text)) if cost is None else cost
                if is_first:
                    yield Started(SAMPLE_RATE_HZ)
                samples_before = self._sound.samples
                timed = self._timed_answer(answer, call) if self._settings.word_times else None
                if timed is None:
                    await expect_sound(self._api, answer)
                while not self._sound.is_full and (piece := await answer.next_piece()):
                    for event in timed.feed(piece) if timed else self._sound.feed(call.segment, piece):
                        yield event
                for event in timed.end() if timed else ():
                    yield event
                if self._sound.samples == samples_before:
                    raise EngineFailed("ElevenLabs' answer has no audio.")
            if self._sound.is_full:
                break
            self._sound.end_of_call()
        yield Finished(units)

    def _timed_answer(self, answer: HttpAnswer, call: Call) -> _TimedAnswer:
        times = WordTimes(call, self._job.segments, self._sound.samples, SAMPLE_RATE_HZ)
        return _TimedAnswer(self._api, answer, self._sound, times, call.segment)


class _TimedAnswer:
    """One answer whose lines have audio and the times of its characters."""

    def __init__(self, api: Api, answer: HttpAnswer, sound: Sound, times: WordTimes, segment: int) -> None:
        self._api = api
        self._answer = answer
        self._sound = sound
        self._times = times
        self._segment = segment
        self._lines = LineReader()

    def feed(self, piece: bytes) -> Iterator[Audio | Encoded | Words]:
        return self._events(self._lines.feed(piece))

    def end(self) -> Iterator[Audio | Encoded | Words]:
        if not self._sound.is_full:
            yield from self._events(self._lines.flush())
        yield from self._times.take_due(self._sound.samples, is_over=not self._sound.is_full)

    def _events(self, lines: Iterator[Line]) -> Iterator[Audio | Encoded | Words]:
        for line in lines:
            if line.detail is not None:
                raise self._api.log_refusal(self._answer, refusals.refusal_of_detail(line.detail))
            if line.alignment is not None:
                self._times.add_times(line.alignment, self._sound.samples)
            yield from self._sound.feed(self._segment, line.audio_base64 or b"")
            yield from self._times.take_due(self._sound.samples)
            if self._sound.is_full:
                return


def credits_of(answer: HttpAnswer) -> float | None:
    """Return the price of the answer in ElevenLabs' credits, which are not characters."""
    cost = answer.headers.get("character-cost", "")
    return float(cost) if _CREDITS.fullmatch(cost) else None
