"""Apps that are no library: the requests they send, as they write them, and what each makes of the answer."""

import io
import json
from typing import Any, NamedTuple

import av
import httpx2

from tests.clients.rows_requests import assert_envelope
from tests.clients.servers import Servers, seconds, texts
from tests.server import Server
from tests.sound import decoded

_TEXT = "Good morning."
_SPEECH = "/v1/audio/speech"
_PROBE_S = 10.0


class Sent(NamedTuple):
    """One app's POST: its body, the headers it adds to a good key, and the format it expects back."""

    body: str
    headers: dict[str, str]
    audio_format: str = "mp3"
    media_type: str = "audio/mpeg"


_HOME_ASSISTANT = (
    Sent(
        '{"model": "tts-1", "input": "TEXT", "voice": "shimmer", "response_format": "mp3", "speed": 1.0}', {}
    ),
    Sent(
        '{"model": "gpt-4o-mini-tts", "input": "TEXT", "voice": "nova", "response_format": "mp3", '
        '"speed": 1.0, "instructions": "Speak softly.", "chatterbox": {"exaggeration": 0.5}}',
        {},
    ),
)
_N8N = Sent(
    '{"model":"tts-1-hd","input":"TEXT","voice":"fable","response_format":"opus","speed":0.6}',
    {"openai-organization": "", "accept": "application/json,text/html,application/xhtml+xml,*/*"},
    "opus",
    "audio/ogg",
)
_OPEN_WEBUI = Sent(
    '{"input": "TEXT", "voice": "alloy", "model": "tts-1", "lang_code": "a", "stream": false}',
    {"x-openwebui-user-name": "Ann", "x-openwebui-user-role": "user"},
)
_LIBRECHAT = (
    Sent('{"input":"TEXT","model":"tts-1","voice":"echo","backend":"openai"}', {}),
    # Its other way to the same server, as if that were Azure.
    Sent('{"input":"TEXT","model":"tts-1","voice":"echo"}', {"api-key": "KEY"}),
)
_SILLYTAVERN = Sent('{"input":"TEXT","response_format":"mp3","voice":"onyx","speed":1,"model":"tts-1"}', {})
_MCP = Sent('{"model":"tts-1","voice":"nova","input":"TEXT","language":"en","bitrate":32}', {})


HEARING: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "homeassistant": (
        ("a.wav",),
        {
            "model": "gpt-4o-mini-transcribe",
            "response_format": "json",
            "language": "en",
            "prompt": "The following conversation is a smart home user talking to Home Assistant.",
        },
    ),
    "n8n": (("data.wav", "audio/wav"), {"model": "whisper-1", "language": "en", "temperature": "0.2"}),
    "openwebui": (("5b7e.wav",), {"model": "whisper-1"}),
}
"""The file's name, its type if it has one, and the texts of each app's form."""


def app_hears(app: str, servers: Servers) -> None:
    (name, *media_type), fields = HEARING[app]
    speech = servers.shut.sdk.audio.speech
    sound = speech.create(model="tts-1", voice="alloy", input=_TEXT, response_format="wav").content
    with servers.shut.server.client() as client:
        file: Any = (name, sound, *media_type)
        answer = client.post("/v1/audio/transcriptions", data=fields, files={"file": file})
    assert answer.raise_for_status().json()["text"] == _TEXT


def home_assistant_speaks(servers: Servers) -> None:
    for sent in _HOME_ASSISTANT:
        _assert_spoken(servers.shut.server, sent)


def home_assistant_s_probe(servers: Servers) -> None:
    probe = {"model": "tts-1", "input": ".", "voice": "alloy", "response_format": "mp3"}
    with servers.shut.server.client(timeout=_PROBE_S) as client:
        answer = client.post(_SPEECH, json=probe)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/mpeg")
    assert decoded(answer.content, "mp3").seconds > 0


def n8n_speaks_in_opus(servers: Servers) -> None:
    _assert_spoken(servers.shut.server, _N8N)


def n8n_tests_its_credential(servers: Servers) -> None:
    with servers.shut.server.client() as known:
        listed = known.get("/v1/models", headers={"openai-organization": ""})
    assert "tts-1" in {model["id"] for model in listed.json()["data"]}
    wrong = httpx2.get(f"{servers.shut.server.url}/v1/models", headers={"authorization": "Bearer vg-wrong"})
    assert wrong.status_code == 401


def open_webui_speaks(servers: Servers) -> None:
    _assert_spoken(servers.shut.server, _OPEN_WEBUI)


def open_webui_lists_voices_and_models(servers: Servers) -> None:
    # Without a key, and in its own words: one entry that lacks either loses it the whole list.
    root = servers.open.url
    voices = httpx2.get(f"{root}/v1/audio/voices").raise_for_status().json()["voices"]
    assert {voice["id"]: voice["name"] for voice in voices}["alloy"] == "alloy"
    models = httpx2.get(f"{root}/v1/audio/models").raise_for_status().json()["models"]
    assert "tts-1" in {model["id"] for model in models}
    assert httpx2.get(f"{servers.shut.server.url}/v1/audio/voices").status_code == 401


def librechat_speaks(servers: Servers) -> None:
    for sent in _LIBRECHAT:
        _assert_spoken(servers.shut.server, sent)


def librechat_joins_the_pieces_of_a_long_text(servers: Servers) -> None:
    pieces = ("The first piece.", "The second piece.", "The third piece.")
    sent = [Sent(json.dumps({"input": piece, "model": "tts-1", "voice": "echo"}), {}) for piece in pieces]
    joined = b"".join(_post(servers.shut.server, each).content for each in sent)
    assert texts(joined, "mp3") == pieces


def librechat_without_a_voice_needs_the_default(servers: Servers) -> None:
    sent = Sent('{"input":"TEXT","model":"tts-1"}', {})
    refused = _post(servers.shut.server, sent)
    assert refused.status_code == 400
    assert_envelope(refused, "missing_required_parameter")
    assert refused.json()["error"]["param"] == "voice"
    filled = _post(servers.open, sent)
    assert (filled.status_code, filled.headers["content-type"]) == (200, "audio/mpeg")
    assert filled.headers["x-voxgate-voice"] == "alloy"
    assert texts(filled.content, "mp3") == (_TEXT,)


def sillytavern_speaks(servers: Servers) -> None:
    _assert_spoken(servers.shut.server, _SILLYTAVERN)


def sillytavern_without_a_key_gets_a_sentence_to_show(servers: Servers) -> None:
    refused = httpx2.post(servers.shut.server.url + _SPEECH, content=_SILLYTAVERN.body)
    assert refused.status_code == 401
    assert "API key" in refused.json()["error"]["message"]


def mcp_host_speaks(servers: Servers) -> None:
    _assert_spoken(servers.shut.server, _MCP)


def telegram_gets_a_voice_note(servers: Servers) -> None:
    """A bot's own call. Telegram shows the time that the last page's granule position gives."""
    for voice in ("alloy", "nova"):
        speech = servers.shut.sdk.audio.speech
        note = speech.create(model="tts-1", voice=voice, input=_TEXT, response_format="opus").content
        assert texts(note, "opus") == (_TEXT,)
        head = note[note.index(b"OpusHead") :]
        version, channels, skipped = head[8], head[9], int.from_bytes(head[10:12], "little")
        assert (version, channels) == (1, 1)
        last = note[note.rindex(b"OggS") :]
        # The second bit says that the stream ends here: without it a player looks for more.
        assert last[5] & 0b100
        shown_s = (int.from_bytes(last[6:14], "little") - skipped) / 48_000
        assert abs(shown_s - seconds(_TEXT)) < 0.001
        with av.open(io.BytesIO(note)) as played:
            stream = played.streams.audio[0]
            assert (stream.codec_context.name, stream.rate, stream.channels) == ("opus", 48_000, 1)


def _assert_spoken(server: Server, sent: Sent) -> None:
    answer = _post(server, sent)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == sent.media_type
    speed = json.loads(sent.body).get("speed", 1.0)
    assert texts(answer.content, sent.audio_format, speed) == (_TEXT,)


def _post(server: Server, sent: Sent) -> httpx2.Response:
    """With the server's key: as a bearer, unless the app has a header of its own for it."""
    own = {name: value.replace("KEY", server.key) for name, value in sent.headers.items()}
    bearer = {} if "api-key" in own else {"authorization": f"Bearer {server.key}"}
    everything = {"content-type": "application/json", **bearer, **own}
    content = sent.body.replace("TEXT", _TEXT)
    return httpx2.post(server.url + _SPEECH, content=content, headers=everything, timeout=30)
