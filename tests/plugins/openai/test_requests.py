"""What the server is sent, key by key: other keys than OpenAI's are refused by many."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from fakes.openai.app import provider
from fakes.serving import served
from plugins.openai.engine import OpenAIEngine
from plugins.openai.settings import OpenAISettings
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import EngineVoice, HttpAnswer, HttpClient, HttpRequest, Mix, SpeechJob, VoiceNotFound
from speech_engine.testing import collect, job
from tests.plugins.openai.upstream import pair
from tests.tables import each_row

PLAIN = {"model": "tts-1", "input": "One. Two.", "voice": "alloy", "response_format": "pcm"}


def _job(**more: Any) -> SpeechJob:
    return msgspec.structs.replace(job("One.", "Two.", model="tts-1", voice="alloy"), **more)


async def _sent(job: SpeechJob, server: str = "", **settings: Any) -> list[Any]:
    async with pair(server, **settings) as (engine, provider):
        await collect(engine, job)
        return [seen.json for seen in provider.spoken()]


async def test_a_job_is_one_call_with_four_keys() -> None:
    assert await _sent(_job()) == [PLAIN]


@each_row(
    ("change", "settings", "sent"),
    [
        ({"speed": 1.5}, {}, {"speed": 1.5}),
        ({"formats": ("mp3",)}, {}, {"response_format": "mp3"}),
        ({"formats": ("mp3",)}, {"formats": ("pcm",)}, {}),
        ({"formats": ("opus", "mp3")}, {}, {"response_format": "mp3"}),
        ({"formats": ("opus",)}, {"formats": ("mp3", "opus", "pcm")}, {"response_format": "opus"}),
        ({"formats": ("aac",)}, {"formats": ("aac", "pcm")}, {"response_format": "aac"}),
        ({}, {"formats": ("mp3", "wav")}, {"response_format": "wav"}),
        ({}, {"formats": ("wav", "pcm")}, {}),
        ({}, {"stream": "sse"}, {"stream_format": "sse"}),
        ({"voice": EngineVoice("nova")}, {}, {"voice": "nova"}),
        ({"pitch": 1.0, "emotion": "sad", "seed": 4, "language": "th"}, {}, {}),
    ],
)
async def test_a_key_is_there_only_where_it_says_something(
    change: dict[str, Any], settings: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert await _sent(_job(**change), **settings) == [{**PLAIN, **sent}]


async def test_other_servers_get_the_keys_they_know() -> None:
    extra = {"lang_code": "p", "model": "not this one"}
    sent = await _sent(
        _job(model="kokoro", voice=EngineVoice("af_heart"), language="pt-BR"),
        "kokoro",
        send_language=True,
        extra=extra,
    )
    assert sent == [
        {**PLAIN, "model": "kokoro", "voice": "af_heart", "language": "pt-BR", "lang_code": "p"},
    ]


async def test_instructions_and_the_clients_fields_are_sent_and_replace_no_key() -> None:
    extra = {"task_type": "CustomVoice", "model": "not this one", "lang_code": "a"}
    sent = await _sent(
        _job(model="kokoro", voice=EngineVoice("af_heart"), instructions="Whisper.", extra=extra),
        "kokoro",
        extra={"lang_code": "p", "volume": 2},
    )
    assert sent == [
        {
            **PLAIN,
            "model": "kokoro",
            "voice": "af_heart",
            "instructions": "Whisper.",
            "task_type": "CustomVoice",
            "lang_code": "a",
            "volume": 2,
        }
    ]


async def test_a_text_that_is_too_long_for_one_call_is_several() -> None:
    sent = await _sent(_job(), max_characters=6)
    assert sent == [{**PLAIN, "input": "One."}, {**PLAIN, "input": "Two."}]


class _Noting:
    """The real client, and how long it was told to wait for each answer."""

    def __init__(self, http: HttpClient) -> None:
        self.within_s: list[float] = []
        self._http = http

    def send(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpAnswer]:
        self.within_s.append(request.within_s)
        return self._http.send(request)


async def test_the_deadline_is_for_the_first_audio() -> None:
    async with served(provider()) as fake, open_http(Upstream()) as http:
        noting = _Noting(http)
        engine = OpenAIEngine(OpenAISettings(base_url=f"{fake.url}/v1", max_characters=6), noting)
        await collect(engine, _job(deadline_s=3.0))
    assert noting.within_s == [3.0, 20.0]


async def test_the_key_goes_into_its_header_and_nowhere_else() -> None:
    async with pair("kokoro", api_key="sk-secret") as (engine, provider):
        await engine.refresh()
        await collect(engine, _job(model="kokoro", voice=EngineVoice("af_heart")))
        assert {seen.headers["authorization"] for seen in provider.seen} == {"Bearer sk-secret"}
        assert {seen.headers["accept-encoding"] for seen in provider.seen} == {"identity"}
        assert all(b"sk-secret" not in seen.body for seen in provider.seen)
        assert all("sk-secret" not in repr(each) for each in (engine, *provider.seen))


async def test_a_server_without_keys_gets_none() -> None:
    async with pair("kokoro", api_key="") as (engine, provider):
        await engine.refresh()
        assert provider.seen
        assert all("authorization" not in seen.headers for seen in provider.seen)


async def test_a_mix_of_voices_is_refused_and_nobody_is_asked() -> None:
    async with pair() as (engine, provider):
        with pytest.raises(VoiceNotFound):
            await collect(engine, _job(voice=Mix(())))
        assert provider.seen == []
