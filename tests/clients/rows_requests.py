"""Rows of the checklist about what a request may say, and how it is told that it is wrong."""

import http.client
import json
from contextlib import closing

import httpx2

from tests.clients.servers import BUILT_IN, Servers, texts

_TEXT = "Hello there."


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


def envelope_everywhere(servers: Servers) -> None:
    say = {"model": "tts-1", "voice": "alloy", "input": _TEXT}
    away = {"model": "doomed/standard", "voice": "doomed/unavailable", "input": _TEXT}
    with servers.shut.server.client() as client:
        speech, json_type = "/v1/audio/speech", {"content-type": "application/json"}
        answers = {
            (400, "invalid_json"): client.post(speech, content=b'{"model":', headers=json_type),
            (405, "method_not_allowed"): client.get(speech),
            (404, "unknown_url"): client.post("/v1/chat/completions", json=say),
            (413, "request_too_large"): client.post(speech, json={**say, "zzz": "x" * 300_000}),
            (415, "unsupported_media_type"): client.post(
                speech, content=b"x", headers={"content-type": "multipart/mixed"}
            ),
            (503, "engine_unavailable"): client.post(speech, json=away),
        }
    for (status, code), answer in answers.items():
        assert answer.status_code == status, code
        assert_envelope(answer, code)
    assert answers[405, "method_not_allowed"].headers["allow"] == "POST"


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
