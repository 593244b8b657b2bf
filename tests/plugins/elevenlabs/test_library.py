"""ElevenLabs' own Python library against the fake: what it sends and takes is what the fake must know."""

import base64
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
import numpy as np
import pytest
import soundfile
from elevenlabs import (
    AsyncElevenLabs,
    SpeechToTextChunkResponseModel,
    UnprocessableEntityError,
    VoiceSettings,
)
from elevenlabs.core import ApiError, RequestOptions

from fakes.elevenlabs import KEY, Account, fake
from fakes.provider import Provider
from fakes.serving import served
from speech_engine import HEARING_HZ
from speech_engine.pcm import wav_file
from tests.plugins.elevenlabs.rig import VOICE, heard
from tests.tables import each_row
from tests.tones import recording, tones

TEXT = "Hello from the library."
NO_RETRIES = RequestOptions(max_retries=0)


class Library(NamedTuple):
    client: AsyncElevenLabs
    provider: Provider
    account: Account


@asynccontextmanager
async def library(key: str = KEY) -> AsyncIterator[Library]:
    account = Account()
    # trust_env: a proxy of this machine's is none of the test's business.
    async with served(fake(tones, account)) as at, httpx.AsyncClient(trust_env=False) as http:
        yield Library(AsyncElevenLabs(base_url=at.url, api_key=key, httpx_client=http), at.provider, account)


async def _whole(audio: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in audio])


@each_row("format_", ["pcm_24000", "mp3_44100_128", "opus_48000_64", "wav_24000"])
async def test_speech_in_each_family_of_formats(format_: str) -> None:
    async with library() as it:
        audio = await _whole(
            it.client.text_to_speech.convert(
                VOICE, text=TEXT, model_id="eleven_v3", output_format=format_, language_code="en"
            )
        )
    assert heard(audio, format_.partition("_")[0]) == (TEXT,)


async def test_a_minimal_call_is_minimal_and_its_headers_tell_the_cost() -> None:
    async with library() as it:
        raw = it.client.text_to_speech.with_raw_response
        async with raw.convert(VOICE, text="hi", model_id="eleven_flash_v2_5") as answer:
            assert await _whole(answer.data)
            headers = answer.headers
        (seen,) = it.provider.seen
    assert seen.json == {"text": "hi", "model_id": "eleven_flash_v2_5"}
    assert headers["character-cost"] == "1"
    assert headers["maximum-concurrent-requests"] == "5"
    assert headers["current-concurrent-requests"] == "1"
    assert headers["request-id"]


async def test_streamed_speech_with_everything_set() -> None:
    async with library() as it:
        audio = await _whole(
            it.client.text_to_speech.stream(
                VOICE,
                text=TEXT,
                model_id="eleven_multilingual_v2",
                output_format="pcm_24000",
                voice_settings=VoiceSettings(stability=0.5, similarity_boost=0.5, style=0.1, speed=1.1),
                seed=7,
                previous_text="Before.",
                next_text="After.",
                apply_text_normalization="off",
                enable_logging=False,
            )
        )
    assert heard(audio) == (TEXT,)


async def test_times_come_line_by_line_and_whole() -> None:
    async with library() as it:
        speech = it.client.text_to_speech
        lines = [
            line async for line in speech.stream_with_timestamps(VOICE, text=TEXT, output_format="pcm_24000")
        ]
        whole = await speech.convert_with_timestamps(VOICE, text=TEXT, output_format="pcm_24000")
    audio = b"".join(base64.b64decode(line.audio_base_64) for line in lines)
    assert heard(audio) == (TEXT,)
    assert audio == base64.b64decode(whole.audio_base_64)
    timed = "".join("".join(line.alignment.characters) for line in lines if line.alignment)
    assert timed == TEXT
    assert whole.alignment
    assert "".join(whole.alignment.characters) == TEXT
    starts = [at for line in lines if line.alignment for at in line.alignment.character_start_times_seconds]
    assert starts == whole.alignment.character_start_times_seconds == sorted(starts)


async def test_voices_models_and_subscription() -> None:
    async with library() as it:
        first = await it.client.voices.search(page_size=2)
        rest = await it.client.voices.search(page_size=2, next_page_token=first.next_page_token)
        one = await it.client.voices.get(VOICE)
        every = await it.client.voices.get_all()
        models = await it.client.models.list()
        subscription = await it.client.user.subscription.get()
    ids = [voice.voice_id for voice in [*first.voices, *rest.voices]]
    assert ids == sorted(it.account.voices) == [voice.voice_id for voice in every.voices]
    assert (first.has_more, rest.has_more) == (True, False)
    assert one.voice_id == VOICE
    thai = [
        model.model_id for model in models if any(each.language_id == "th" for each in model.languages or [])
    ]
    assert thai == ["eleven_v3"]
    assert subscription.character_limit == 100_000
    assert subscription.voice_slots_used == 3


async def test_a_voice_deleted_between_pages_shifts_nothing() -> None:
    async with library() as it:
        first = await it.client.voices.search(page_size=1)
        await it.client.voices.delete("fakeVoice01")
        rest = await it.client.voices.search(page_size=10, next_page_token=first.next_page_token)
    assert [voice.voice_id for voice in rest.voices] == ["fakeVoice02", "fakeVoice03"]


async def test_a_voice_is_added_and_deleted() -> None:
    async with library() as it:
        added = await it.client.voices.ivc.create(
            name="Ada",
            files=[io.BytesIO(tones(TEXT))],
            labels={"language": "en"},
            request_options=NO_RETRIES,
        )
        assert it.account.voices[added.voice_id] == "Ada"
        await it.client.voices.delete(added.voice_id)
        assert added.voice_id not in it.account.voices


async def test_a_retry_that_loses_its_fields_is_refused() -> None:
    async with library() as it:
        it.provider.fail("429", path="/v1/voices/add", retry_after="0")
        with pytest.raises(UnprocessableEntityError):
            await it.client.voices.ivc.create(name="Ada", files=[io.BytesIO(tones(TEXT))])
        assert len(it.provider.seen) == 2
        assert "Ada" not in it.account.voices.values()


async def test_the_voice_changer_says_it_again() -> None:
    recording = tones(TEXT)
    async with library() as it:
        for change in (it.client.speech_to_speech.convert, it.client.speech_to_speech.stream):
            audio = await _whole(
                change(
                    VOICE,
                    audio=("said.wav", _wav(recording), "audio/wav"),
                    model_id="eleven_multilingual_sts_v2",
                    output_format="pcm_24000",
                    voice_settings=VoiceSettings(stability=0.5).model_dump_json(exclude_none=True),
                )
            )
            assert heard(audio) == (TEXT,)
        assert it.account.conversion_paths["voice-changer"] == 2


@each_row(
    ("code", "body"),
    [
        ("older:quota_exceeded", {"detail": {"status": "quota_exceeded", "message": "No."}}),
        ("bare:Not Found", {"detail": "Not Found"}),
        ("list:text", {"detail": [{"loc": ["body", "text"], "msg": "No.", "type": "value_error"}]}),
    ],
)
async def test_the_shapes_of_a_refusal(code: str, body: object) -> None:
    async with library() as it:
        it.provider.fail("5xx", status=400, code=code)
        with pytest.raises(ApiError) as caught:
            await _whole(it.client.text_to_speech.convert(VOICE, text=TEXT))
    assert (caught.value.status_code, caught.value.body) == (400, body)


async def test_todays_shape_and_a_gateways_page() -> None:
    async with library(key="wrong") as it:
        with pytest.raises(ApiError) as caught:
            await _whole(it.client.text_to_speech.convert(VOICE, text=TEXT))
        assert caught.value.status_code == 401
        assert caught.value.body["detail"]["code"] == "invalid_api_key"
    async with library() as it:
        it.provider.fail("5xx", status=502, code="html:")
        with pytest.raises(ApiError) as caught:
            await _whole(it.client.text_to_speech.convert(VOICE, text=TEXT))
        assert caught.value.status_code == 502
        assert "Bad Gateway" in caught.value.body


async def test_a_request_that_the_provider_would_not_take_is_a_422() -> None:
    async with library() as it:
        for wrong in ({"text": ""}, {"text": "x", "seed": -1}, {"text": "x", "output_format": "aac_44100"}):
            with pytest.raises(UnprocessableEntityError):
                await _whole(it.client.text_to_speech.convert(VOICE, **wrong))


def _wav(pcm: bytes) -> bytes:
    whole = io.BytesIO()
    soundfile.write(whole, np.frombuffer(pcm, np.int16), 24_000, format="WAV")
    return whole.getvalue()


async def test_a_recording_is_written_down_word_by_word() -> None:
    async with library() as it:
        found = await it.client.speech_to_text.convert(
            model_id="scribe_v2",
            file=("recording.wav", wav_file(recording(TEXT), HEARING_HZ), "audio/wav"),
            language_code="en",
            tag_audio_events=False,
            timestamps_granularity="word",
            temperature=0.0,
            keyterms=["Ana", "Zoë"],
        )
    assert isinstance(found, SpeechToTextChunkResponseModel)
    assert (found.text, found.language_code) == (TEXT, "eng")
    assert [word.text for word in found.words if word.type == "word"] == TEXT.split()
    assert all(word.end is not None for word in found.words)
