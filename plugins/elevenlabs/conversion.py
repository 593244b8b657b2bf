"""Speech to speech: ElevenLabs repeats a recording in another voice."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import msgspec

from plugins.elevenlabs.api import Api
from plugins.elevenlabs.listings import CREDITS_A_MINUTE, SAMPLE_RATE_HZ
from plugins.elevenlabs.plugin import ConversionPath, ElevenLabsSettings
from plugins.elevenlabs.refusals import NOT_TAKEN, NoSuchPath
from plugins.elevenlabs.speech import VoiceSettings, credits_of, expect_sound, open_sound, query
from speech_engine.errors import EngineFailed, UnsupportedRequest, UnsupportedText, UnusableSample
from speech_engine.events import Event, Finished, ProviderCount, Started
from speech_engine.http import HttpFile, HttpForm
from speech_engine.pcm import wav_file
from speech_engine.values import SpeechJob

_MOST_RECORDING_BYTES = 50 * 1024 * 1024
_OTHER_PATH: dict[ConversionPath, ConversionPath] = {
    "voice-changer": "speech-to-speech",
    "speech-to-speech": "voice-changer",
}


class Converter:
    """Converts the recordings of one account. It remembers the path that ElevenLabs answered last.

    ElevenLabs' documentation has one path, and its client library has the other.
    """

    def __init__(self, api: Api, settings: ElevenLabsSettings) -> None:
        self._api = api
        self._settings = settings
        self._path: ConversionPath = settings.conversion_path

    async def events(
        self, job: SpeechJob, voice: str, pcm: AsyncIterator[bytes]
    ) -> AsyncGenerator[Event, None]:
        """Yield the sound of the recording `pcm` in this voice. `pcm` has a rate of SAMPLE_RATE_HZ."""
        recording = await _read_recording(pcm)
        minutes = len(recording) / (2 * SAMPLE_RATE_HZ * 60)
        form = self._form(job, wav_file(recording, SAMPLE_RATE_HZ))
        for path in (self._path, _OTHER_PATH[self._path]):
            try:
                async with aclosing(self._convert(path, job, voice, form, minutes)) as events:
                    async for event in events:
                        self._path = path
                        yield event
            except NoSuchPath:
                continue
            except UnsupportedText as error:
                # A conversion has no text, so the refusal is about the rest of the request.
                raise UnsupportedRequest(NOT_TAKEN, detail=error.detail) from None
            return
        raise EngineFailed("ElevenLabs has no voice changer at either of its addresses.")

    async def _convert(
        self, path: ConversionPath, job: SpeechJob, voice: str, form: HttpForm, minutes: float
    ) -> AsyncGenerator[Event, None]:
        sound, output_format = open_sound(job, self._settings)
        async with self._api.exchange(
            "POST",
            f"/v1/{path}/{voice}/stream",
            query=query(output_format, self._settings),
            body=form,
            within_s=job.deadline_s,
        ) as answer:
            yield Started(SAMPLE_RATE_HZ)
            await expect_sound(self._api, answer)
            stated_credits = credits_of(answer)
            credits = CREDITS_A_MINUTE * minutes if stated_credits is None else stated_credits
            # The whole recording is billed now, even if the client leaves. No later answer has the credits.
            yield ProviderCount(credits)
            while not sound.is_full and (piece := await answer.next_piece()):
                for event in sound.feed(0, piece):  # a conversion has one segment
                    yield event
            if not sound.samples:
                raise EngineFailed("ElevenLabs' answer has no audio.")
            yield Finished(credits)

    def _form(self, job: SpeechJob, recording: bytes) -> HttpForm:
        fields = [("model_id", job.model)]
        if (settings := VoiceSettings.of(self._settings)) is not None:
            fields.append(("voice_settings", msgspec.json.encode(settings).decode()))
        if job.seed is not None:
            fields.append(("seed", str(job.seed)))
        return HttpForm(tuple(fields), (HttpFile("audio", "recording.wav", recording, "audio/wav"),))


async def _read_recording(pcm: AsyncIterator[bytes]) -> bytes:
    """Return the whole recording, since a form cannot be streamed. Raise UnusableSample if it is too long."""
    whole = bytearray()
    async for piece in pcm:
        whole += piece
        if len(whole) > _MOST_RECORDING_BYTES:
            raise UnusableSample("ElevenLabs takes recordings of up to 50 MB.")
    return bytes(whole)
