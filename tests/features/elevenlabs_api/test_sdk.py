"""ElevenLabs' own Python library against a real server: only its base URL and its key are ours."""

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from elevenlabs import AsyncElevenLabs, ElevenLabs, UnprocessableEntityError, VoiceSettings
from elevenlabs.core import ApiError

from tests.plugins.elevenlabs.rig import heard
from tests.server import Server
from tests.tables import each_row

pytestmark = [
    pytest.mark.slow,
    # The library reads `code` and `reason` of a closed socket.
    pytest.mark.filterwarnings("ignore:ConnectionClosed:DeprecationWarning"),
]

TEXT = "Hello from the library."
PCM = "pcm_24000"


@pytest.fixture
def client(plain_server: Server) -> Iterator[ElevenLabs]:
    with httpx.Client(trust_env=False) as http:
        yield ElevenLabs(
            base_url=f"{plain_server.url}/elevenlabs", api_key=plain_server.key, httpx_client=http
        )


@pytest.fixture
async def async_client(plain_server: Server) -> AsyncIterator[AsyncElevenLabs]:
    async with httpx.AsyncClient(trust_env=False) as http:
        base_url, key = f"{plain_server.url}/elevenlabs", plain_server.key
        yield AsyncElevenLabs(base_url=base_url, api_key=key, httpx_client=http)


@each_row("format_", [PCM, "mp3_44100_128", "opus_48000_64", "wav_24000"])
def test_each_call_speaks(client: ElevenLabs, format_: str) -> None:
    speech, kind = client.text_to_speech, format_.partition("_")[0]
    whole = b"".join(speech.convert("alloy", text=TEXT, output_format=format_))
    streamed = b"".join(speech.stream("tone/tone", text=TEXT, model_id="tts-1", output_format=format_))
    timed = speech.convert_with_timestamps("alloy", text=TEXT, output_format=format_)
    sounds = [whole, streamed, base64.b64decode(timed.audio_base_64)]
    assert [heard(sound, kind) for sound in sounds] == [(TEXT,)] * 3


def test_the_smallest_call_is_spoken(client: ElevenLabs) -> None:
    settings = VoiceSettings(stability=0.5, similarity_boost=0.7, speed=1.0)
    audio = b"".join(client.text_to_speech.convert("alloy", text=TEXT, voice_settings=settings))
    assert heard(audio, "mp3") == (TEXT,)


def test_lines_have_audio_and_times(client: ElevenLabs) -> None:
    lines = [*client.text_to_speech.stream_with_timestamps("alloy", text=TEXT, output_format=PCM)]
    assert heard(b"".join(base64.b64decode(line.audio_base_64) for line in lines)) == (TEXT,)
    told = [line.alignment for line in lines if line.alignment is not None]
    assert "".join(character for each in told for character in each.characters) == TEXT
    starts = [start for each in told for start in each.character_start_times_seconds]
    assert starts == sorted(starts)


async def test_the_async_client_does_the_same(async_client: AsyncElevenLabs) -> None:
    speech = async_client.text_to_speech
    whole = b"".join([piece async for piece in speech.convert("alloy", text=TEXT, output_format=PCM)])
    streamed = b"".join([piece async for piece in speech.stream("alloy", text=TEXT, output_format=PCM)])
    assert heard(whole) == heard(streamed) == (TEXT,)
    timed = await speech.convert_with_timestamps("alloy", text=TEXT, output_format=PCM)
    assert timed.alignment is not None
    assert "".join(timed.alignment.characters) == TEXT
    lines = [each async for each in speech.stream_with_timestamps("alloy", text=TEXT, output_format=PCM)]
    assert heard(b"".join(base64.b64decode(line.audio_base_64) for line in lines)) == (TEXT,)
    assert "tts-1" in [model.model_id for model in await async_client.models.list()]
    assert (await async_client.voices.search()).has_more


def test_models_are_those_that_speak(client: ElevenLabs) -> None:
    models = {model.model_id: model for model in client.models.list()}
    assert {"tts-1", "tone/standard", "espeak/standard"} <= models.keys()
    assert "inside/ears" not in models
    known = models["tts-1"]
    assert known.can_do_text_to_speech
    assert known.maximum_text_length_per_request == 4096
    assert "en" in [each.language_id for each in models["espeak/standard"].languages or ()]


def test_voices_are_listed_searched_and_shown(client: ElevenLabs) -> None:
    voices = {voice.voice_id: voice for voice in client.voices.get_all().voices}
    assert voices["alloy"].name
    first = client.voices.search(page_size=3)
    second = client.voices.search(page_size=3, next_page_token=first.next_page_token)
    assert first.has_more
    assert first.total_count == len(voices)
    assert [*voices][:6] == [voice.voice_id for page in (first, second) for voice in page.voices]
    assert [voice.voice_id for voice in client.voices.search(search="tone/slow").voices] == ["tone/slow"]
    assert [each.voice_id for each in client.voices.search(voice_ids=["alloy"]).voices] == ["alloy"]
    assert client.voices.get("tone/slow").voice_id == "tone/slow"
    assert client.voices.get("alloy").category == "premade"


def test_the_plan_is_told_as_a_subscription(plain_server: Server) -> None:
    key = plain_server.mint_key("subscriber", plan="poor").secret
    with httpx.Client(trust_env=False) as http:
        poor = ElevenLabs(base_url=f"{plain_server.url}/elevenlabs", api_key=key, httpx_client=http)
        found = poor.user.subscription.get()
    assert (found.tier, found.character_limit, found.character_count) == ("poor", 100, 0)
    assert found.next_character_count_reset_unix
    assert found.status == "active"


@each_row(
    ("status", "code", "asked"),
    [
        (404, "model_not_found", {"model_id": "nothing"}),
        (400, "voice_not_found", {"voice_id": "nobody"}),
        (400, "max_character_limit_exceeded", {"text": "a" * 5000}),
    ],
)
def test_a_refusal_is_an_error_of_the_library(
    client: ElevenLabs, status: int, code: str, asked: dict[str, Any]
) -> None:
    with pytest.raises(ApiError) as caught:
        b"".join(client.text_to_speech.convert(**{"voice_id": "alloy", "text": TEXT, **asked}))
    assert caught.value.status_code == status
    assert caught.value.body["detail"]["code"] == code
    assert caught.value.body["detail"]["status"] == code


def test_other_refusals_are_those_that_the_library_knows(client: ElevenLabs, plain_server: Server) -> None:
    with pytest.raises(UnprocessableEntityError):
        b"".join(client.text_to_speech.convert("alloy", text=TEXT, output_format="pcm_32000"))
    with pytest.raises(ApiError) as absent:
        client.dubbing.get("x")
    assert absent.value.status_code == 404
    with httpx.Client(trust_env=False) as http:
        wrong = ElevenLabs(base_url=f"{plain_server.url}/elevenlabs", api_key="wrong", httpx_client=http)
        with pytest.raises(ApiError) as caught:
            wrong.models.list()
    assert caught.value.status_code == 401
    assert caught.value.body["detail"]["status"] == "invalid_api_key"


WORDS = ("Hello there, ", "my friend. ", "How are ", "you today?")


@each_row("format_", [PCM, "mp3_22050_32", "mp3_44100_128"])
def test_text_in_pieces_is_spoken_over_the_socket(
    client: ElevenLabs, plain_server: Server, format_: str
) -> None:
    speech = client.text_to_speech
    # The library always dials with TLS.
    speech._ws_base_url = plain_server.url.replace("http://", "ws://") + "/elevenlabs"
    sound = b"".join(
        speech.convert_realtime("alloy", text=iter(WORDS), model_id="tts-1", output_format=format_)
    )
    assert " ".join(heard(sound, format_.partition("_")[0])).split() == "".join(WORDS).split()


def test_a_failure_on_the_socket_is_an_error_of_the_library(client: ElevenLabs, plain_server: Server) -> None:
    speech = client.text_to_speech
    speech._ws_base_url = plain_server.url.replace("http://", "ws://") + "/elevenlabs"
    with pytest.raises(ApiError) as caught:
        b"".join(speech.convert_realtime("tone/fail", text=iter(WORDS), model_id="tts-1", output_format=PCM))
    assert caught.value.status_code == 1011 or "engine_unavailable" in str(caught.value.body)
