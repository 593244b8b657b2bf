"""The requests that popular clients send, as they write them, and what each makes of the answer."""

from __future__ import annotations

import base64
import json
from typing import NamedTuple

import httpx2
import pytest

from tests.clients.rows_requests import assert_envelope
from tests.clients.servers import Servers, texts
from tests.server import Server

_TEXT = "Good morning."
_SPEECH = "/v1/audio/speech"


class Sent(NamedTuple):
    """One client's POST: its body, the headers it adds to a good key, and the format it expects back."""

    body: str
    headers: dict[str, str]
    audio_format: str
    media_type: str


def _sent(
    body: str, headers: dict[str, str], audio_format: str = "mp3", media_type: str = "audio/mpeg"
) -> Sent:
    return Sent(body.replace("TEXT", _TEXT), headers, audio_format, media_type)


_SDK = {
    "accept": "application/octet-stream",
    "accept-encoding": "gzip, deflate",
    "user-agent": "AsyncOpenAI/Python 3.51.0",
    "x-stainless-lang": "python",
    "x-stainless-async": "async:asyncio",
    "x-stainless-retry-count": "0",
    "x-stainless-raw-response": "stream",
}

SENT = {
    "Home Assistant": _sent(
        '{"model": "tts-1", "input": "TEXT", "voice": "shimmer", "response_format": "mp3", "speed": 1.0}', {}
    ),
    "Home Assistant with instructions and a payload": _sent(
        '{"model": "gpt-4o-mini-tts", "input": "TEXT", "voice": "nova", "response_format": "mp3", '
        '"speed": 1.0, "instructions": "Speak softly.", "chatterbox": {"exaggeration": 0.5}}',
        {},
    ),
    "n8n": _sent(
        '{"model":"tts-1-hd","input":"TEXT","voice":"fable","response_format":"opus","speed":0.6}',
        {"openai-organization": "", "accept": "application/json,text/html,application/xhtml+xml,*/*"},
        "opus",
        "audio/ogg",
    ),
    "Open WebUI": _sent(
        '{"input": "TEXT", "voice": "alloy", "model": "tts-1", "lang_code": "a", "stream": false}',
        {"x-openwebui-user-name": "Ann", "x-openwebui-user-role": "user"},
    ),
    "LibreChat": _sent('{"input":"TEXT","model":"tts-1","voice":"echo","backend":"openai"}', {}),
    "SillyTavern": _sent(
        '{"input":"TEXT","response_format":"mp3","voice":"onyx","speed":1,"model":"tts-1"}', {}
    ),
    "Vercel AI SDK": _sent(
        '{"model":"gpt-4o-mini-tts","input":"TEXT","voice":"alloy","response_format":"mp3"}',
        {"user-agent": "ai-sdk/openai/3.0.0 runtime/node.js/22"},
    ),
    "Pipecat": _sent(
        '{"input":"TEXT","model":"gpt-4o-mini-tts","voice":"alloy","response_format":"pcm"}',
        _SDK,
        "pcm",
        "audio/pcm",
    ),
    "Azure in LibreChat": _sent('{"input":"TEXT","model":"tts-1","voice":"echo"}', {"api-key": "KEY"}),
}


@pytest.mark.parametrize("client", SENT)
def test_a_client_s_own_request_is_spoken(servers: Servers, client: str) -> None:
    sent = SENT[client]
    answer = _post(servers.shut.server, sent.body, sent.headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == sent.media_type
    speed = json.loads(sent.body).get("speed", 1.0)
    assert texts(answer.content, sent.audio_format, speed) == (_TEXT,)


def test_livekit_hears_events_and_may_warm_up_first(servers: Servers) -> None:
    body = (
        '{"input":"TEXT","model":"gpt-4o-mini-tts","voice":"ash","instructions":"","response_format":"mp3",'
        '"speed":1.0,"stream_format":"sse"}'
    )
    with servers.shut.server.client() as client:
        assert client.get("/v1/").status_code == 200
    answer = _post(servers.shut.server, body.replace("TEXT", _TEXT), _SDK)
    assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
    # As LiveKit reads them: only lines that begin so, one whole event each.
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    audio = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
    assert texts(audio, "mp3") == (_TEXT,)


def test_librechat_without_a_voice_needs_the_default(servers: Servers) -> None:
    body = f'{{"input":"{_TEXT}","model":"tts-1"}}'
    refused = _post(servers.shut.server, body, {})
    assert refused.status_code == 400
    assert_envelope(refused, "missing_required_parameter")
    assert refused.json()["error"]["param"] == "voice"
    filled = _post(servers.open.server, body, {})
    assert (filled.status_code, filled.headers["content-type"]) == (200, "audio/mpeg")
    assert filled.headers["x-voxgate-voice"] == "alloy"
    assert texts(filled.content, "mp3") == (_TEXT,)


def test_librechat_joins_the_pieces_of_a_long_text(servers: Servers) -> None:
    pieces = ("The first piece.", "The second piece.", "The third piece.")
    bodies = [json.dumps({"input": piece, "model": "tts-1", "voice": "echo"}) for piece in pieces]
    joined = b"".join(_post(servers.shut.server, body, {}).content for body in bodies)
    assert texts(joined, "mp3") == pieces


def test_sillytavern_without_a_key_gets_a_sentence_to_show(servers: Servers) -> None:
    refused = httpx2.post(servers.shut.server.url + _SPEECH, content=SENT["SillyTavern"].body)
    assert refused.status_code == 401
    assert "API key" in refused.json()["error"]["message"]


def test_n8n_tests_its_credential_with_the_model_list(servers: Servers) -> None:
    with servers.shut.server.client() as known:
        listed = known.get("/v1/models", headers={"openai-organization": ""})
    assert "tts-1" in {model["id"] for model in listed.json()["data"]}
    wrong = httpx2.get(f"{servers.shut.server.url}/v1/models", headers={"authorization": "Bearer vg-wrong"})
    assert wrong.status_code == 401


def _post(server: Server, body: str, headers: dict[str, str]) -> httpx2.Response:
    """With the server's key: as a bearer, unless the client has a header of its own for it."""
    own = {name: value.replace("KEY", server.key) for name, value in headers.items()}
    bearer = {} if "api-key" in own else {"authorization": f"Bearer {server.key}"}
    everything = {"content-type": "application/json", **bearer, **own}
    return httpx2.post(server.url + _SPEECH, content=body, headers=everything, timeout=30)
