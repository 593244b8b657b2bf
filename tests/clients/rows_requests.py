"""Rows of the checklist about what a request may say, and how it is told that it is wrong."""

from __future__ import annotations

import http.client
import json
from contextlib import closing

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.clients.servers import BUILT_IN, Servers, texts

_TEXT = "Hello there."


def voice_as_string_object_and_name(servers: Servers) -> None:
    speech = servers.shut.sdk.audio.speech
    for voice in ("tone16k/only-here", "Only-here", {"id": "tone16k/only-here"}):
        # The object form is not in the SDK's type for the plain call, but it is sent as it stands.
        answer = speech.create(model="tone16k/standard", voice=voice, input=_TEXT)  # type: ignore[arg-type]
        assert answer.response.headers["x-voxgate-voice"] == "tone16k/only-here"
        assert texts(answer.content, "mp3") == (_TEXT,)


def thirteen_built_in_voices(servers: Servers) -> None:
    assert len(BUILT_IN) == 13
    for voice in BUILT_IN:
        with servers.shut.sdk.audio.speech.with_streaming_response.create(
            input=_TEXT, model="gpt-4o-mini-tts", voice=voice, response_format="pcm"
        ) as answer:
            assert answer.headers["x-voxgate-voice"] == voice
            assert texts(answer.read(), "pcm") == (_TEXT,)


def unknown_keys_are_ignored(servers: Servers) -> None:
    speech = servers.shut.sdk.audio.speech
    plain = speech.create(model="tts-1", voice="alloy", input=_TEXT)
    more = speech.create(model="tts-1", voice="alloy", input=_TEXT, extra_body={"language": "th", "zzz": 1})
    assert plain.response.headers["x-voxgate-language"] == "en"
    assert more.response.headers["x-voxgate-language"] == "th"
    assert texts(more.content, "mp3") == (_TEXT,)


def model_aliases(servers: Servers) -> None:
    expected = {
        "tts-1": "tone/standard",
        "tts-1-hd": "tone44k/standard",
        "gpt-4o-mini-tts": "tone/standard",
        "gpt-4o-mini-tts-2025-12-15": "tone16k/standard",
    }
    for alias, model in expected.items():
        answer = servers.shut.sdk.audio.speech.create(model=alias, voice="alloy", input=_TEXT)
        assert answer.response.headers["x-voxgate-engine"] == model


def limits_name_their_field(servers: Servers) -> None:
    speech = servers.shut.sdk.audio.speech
    # As fast as allowed, which keeps the longest text short.
    longest = speech.create(model="tts-1", voice="alloy", input="x" * 4096, speed=4.0, response_format="pcm")
    assert texts(longest.content, "pcm", speed=4.0) == ("x" * 4096,)
    slowest = speech.create(model="tts-1", voice="alloy", input=_TEXT, speed=0.25, response_format="pcm")
    assert texts(slowest.content, "pcm", speed=0.25) == (_TEXT,)
    wrong: list[tuple[str, object]] = [
        ("input", "x" * 4097),
        ("input", ""),
        ("input", " \n"),
        ("speed", 0.24),
        ("speed", 4.01),
        ("response_format", "ogg"),
    ]
    for field, value in wrong:
        with pytest.raises(openai.BadRequestError) as refused:
            speech.create(model="tts-1", voice="alloy", input=_TEXT, extra_body={field: value})
        assert refused.value.param == field
        assert refused.value.type == "invalid_request_error"


def envelope_everywhere(servers: Servers) -> None:
    say = {"model": "tts-1", "voice": "alloy", "input": _TEXT}
    crash = {"model": "doomed/standard", "voice": "doomed/crash", "input": _TEXT}
    with servers.shut.server.client() as client:
        speech, json_type = "/v1/audio/speech", {"content-type": "application/json"}
        answers = {
            (400, "invalid_json"): client.post(speech, content=b'{"model":', headers=json_type),
            (405, "method_not_allowed"): client.get(speech),
            (404, "unknown_url"): client.post("/v1/chat/completions", json=say),
            (413, "request_too_large"): client.post(speech, json={**say, "zzz": "x" * 300_000}),
            (415, "unsupported_media_type"): client.post(speech, files={"input": b"x"}),
            (503, "engine_unavailable"): client.post(speech, json=crash),
        }
    for (status, code), answer in answers.items():
        assert answer.status_code == status, code
        assert_envelope(answer, code)
    assert answers[405, "method_not_allowed"].headers["allow"] == "POST"


def errors_have_their_class(servers: Servers) -> None:
    sdk, root = servers.shut.sdk, servers.shut.server.url
    say = sdk.audio.speech.create
    with pytest.raises(openai.BadRequestError) as bad:
        say(model="tts-1", voice="nobody", input=_TEXT)
    _assert_error(bad.value, 400, "voice_not_found", "voice")
    with pytest.raises(openai.AuthenticationError) as unknown:
        sdk.with_options(api_key="vg-wrong").audio.speech.create(model="tts-1", voice="alloy", input=_TEXT)
    _assert_error(unknown.value, 401, "invalid_api_key", None)
    with pytest.raises(openai.PermissionDeniedError) as forbidden:
        sdk.with_options(base_url=root).get("/admin/accounts", cast_to=object)
    _assert_error(forbidden.value, 403, "not_allowed", None)
    with pytest.raises(openai.NotFoundError) as missing:
        say(model="tts-9", voice="alloy", input=_TEXT)
    _assert_error(missing.value, 404, "model_not_found", "model")
    with pytest.raises(openai.InternalServerError) as away:
        say(model="tone/standard", voice="tone/unavailable", input=_TEXT)
    _assert_error(away.value, 503, "engine_unavailable", None)
    assert away.value.response.headers["retry-after"] == "2"


def transcription_is_a_clean_404(servers: Servers) -> None:
    sent: list[str] = []
    with httpx2.Client(event_hooks={"request": [lambda request: sent.append(request.url.path)]}) as counting:
        server = servers.shut.server
        # As many retries as the SDK has by itself: none must be made.
        with OpenAI(base_url=f"{server.url}/v1", api_key=server.key, http_client=counting) as sdk:
            assert sdk.max_retries > 0
            with pytest.raises(openai.NotFoundError) as refused:
                sdk.audio.transcriptions.create(model="whisper-1", file=("a.wav", bytes(1 << 20)))
    _assert_error(refused.value, 404, "unknown_url", None)
    assert "Unknown request URL: POST /v1/audio/transcriptions." in refused.value.message
    assert sent == ["/v1/audio/transcriptions"]


def empty_keys_are_401(servers: Servers) -> None:
    body = json.dumps({"model": "tts-1", "voice": "alloy", "input": _TEXT})
    address = servers.shut.server.url.removeprefix("http://")
    for headers in ({}, {"authorization": ""}, {"authorization": "Bearer"}, {"authorization": "Bearer "}):
        # The standard library's client, since httpx2 refuses to send such a header at all.
        with closing(http.client.HTTPConnection(address, timeout=10)) as connection:
            connection.request("POST", "/v1/audio/speech", body, headers)
            raw = connection.getresponse()
            answer = httpx2.Response(raw.status, headers=raw.getheaders(), content=raw.read())
        assert answer.status_code == 401, headers
        assert_envelope(answer, "invalid_api_key")


def assert_envelope(answer: httpx2.Response, code: str) -> None:
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    assert list(answer.json()) == ["error"]
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert isinstance(error["message"], str)
    assert error["message"]


def _assert_error(error: openai.APIStatusError, status: int, code: str, param: str | None) -> None:
    assert (error.status_code, error.code, error.param) == (status, code, param)
    assert (error.request_id or "").startswith("req_")
