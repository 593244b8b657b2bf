"""The fake is what it stands for: OpenAI's SDK gets on with it, and is refused what OpenAI would refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from fakes.openai.app import provider
from fakes.serving import ServedApp, served
from plugins.tone.decode import decode
from tests.sound import decoded
from tests.tones import tones

TEXT = "Hello there, world."


@pytest.fixture
async def fake() -> AsyncIterator[ServedApp]:
    async with served(provider(tones)) as running:
        yield running


@pytest.fixture
async def sdk(fake: ServedApp) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{fake.url}/v1", api_key="sk-good", max_retries=0) as client:
        yield client


@pytest.mark.parametrize("format_", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
async def test_the_sdk_hears_all_six_formats(sdk: openai.AsyncOpenAI, format_: Any) -> None:
    answer = await sdk.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format=format_)
    sound = decoded(answer.content, format_)
    assert decode(sound.samples, sound.sample_rate_hz) == (TEXT,)


async def test_faster_is_shorter(sdk: openai.AsyncOpenAI) -> None:
    sizes = []
    for speed in (1.0, 2.0):
        answer = await sdk.audio.speech.create(
            model="tts-1", voice="alloy", input=TEXT, response_format="pcm", speed=speed
        )
        sizes.append(len(answer.content))
    assert abs(sizes[0] - 2 * sizes[1]) <= 4


async def test_the_fake_lists_its_models_and_no_voices(sdk: openai.AsyncOpenAI) -> None:
    assert "tts-1" in [model.id async for model in await sdk.models.list()]
    with pytest.raises(openai.NotFoundError):
        await sdk.get("/audio/voices", cast_to=object)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"model": "tts-9"}, "model", "model_not_found"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"input": "x" * 4097}, "input", "string_above_max_length"),
        ({"input": " "}, "input", "invalid_value"),
        ({"voice": "nobody"}, "voice", "voice_not_found"),
        ({"voice": {"id": "nobody"}}, "voice", "voice_not_found"),
        ({"response_format": "ogg"}, "response_format", "invalid_value"),
        ({"speed": 4.1}, "speed", "invalid_value"),
        ({"speed": True}, "speed", "invalid_value"),
        ({"speed": "1"}, "speed", "invalid_value"),
        ({"stream_format": "json"}, "stream_format", "invalid_value"),
        ({"instructions": "x" * 4097}, "instructions", "invalid_value"),
        ({"language": "th"}, "language", "unknown_parameter"),
    ],
)
async def test_the_fake_refuses_what_openai_refuses(
    sdk: openai.AsyncOpenAI, change: dict[str, Any], field: str, code: str
) -> None:
    body = {"model": "tts-1", "voice": "alloy", "input": TEXT, **change}
    with pytest.raises(openai.APIStatusError) as caught:
        await sdk.post("/audio/speech", body=body, cast_to=object)
    assert caught.value.status_code == (404 if code == "model_not_found" else 400)
    assert (caught.value.param, caught.value.code) == (field, code)


async def test_a_voice_may_be_an_object(sdk: openai.AsyncOpenAI) -> None:
    answer = await sdk.audio.speech.create(
        model="tts-1", voice={"id": "nova"}, input=TEXT, response_format="pcm", instructions="Whisper."
    )
    assert answer.content == tones(TEXT)


async def test_a_wrong_key_is_refused(fake: ServedApp) -> None:
    async with openai.AsyncOpenAI(base_url=f"{fake.url}/v1", api_key="wrong", max_retries=0) as sdk:
        with pytest.raises(openai.AuthenticationError):
            await sdk.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)


@pytest.mark.parametrize(("code", "retry_after"), [("", "3"), ("insufficient_quota", None)])
async def test_the_fake_has_had_enough_when_told_to(
    fake: ServedApp, sdk: openai.AsyncOpenAI, code: str, retry_after: str | None
) -> None:
    fake.provider.fail("429", code=code, retry_after=retry_after)
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert caught.value.code == (code or "rate_limit_exceeded")
    assert caught.value.response.headers.get("retry-after") == retry_after
