"""Rows of the checklist about the bytes of an answer: formats, sizes, rates, events."""

from __future__ import annotations

import base64
import io
import json
import wave

import soundfile

from plugins.tone.decode import decode
from tests.clients.servers import FORMATS, Servers, seconds, texts
from tests.sound import PADDING_S, decoded

_TEXT = "The quick brown fox."
_MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_WAV_HEADER_BYTES = 44
_NO_SIZE = b"\xff\xff\xff\xff"


def default_is_bare_mp3(servers: Servers) -> None:
    answer = servers.shut.sdk.audio.speech.create(model="tts-1", voice="alloy", input=_TEXT)
    assert answer.response.headers["content-type"] == "audio/mpeg"
    assert _begins_as("mp3", answer.content)
    # A first frame that holds these instead of sound would claim a length for all that is joined to it.
    assert not {b"Xing", b"Info"} & {answer.content[at : at + 4] for at in range(64)}
    assert texts(answer.content, "mp3") == (_TEXT,)


def six_formats(servers: Servers) -> None:
    for audio_format in FORMATS:
        answer = servers.shut.sdk.audio.speech.create(
            model="tts-1", voice="alloy", input=_TEXT, response_format=audio_format
        )
        assert answer.response.headers["content-type"] == _MEDIA_TYPES[audio_format]
        assert _begins_as(audio_format, answer.content), audio_format
        longer = decoded(answer.content, audio_format).seconds - seconds(_TEXT)
        assert -0.001 <= longer <= PADDING_S[audio_format], audio_format


def pcm_is_24_khz_mono(servers: Servers) -> None:
    for model in ("tone16k/standard", "tone44k/standard"):
        answer = servers.shut.sdk.audio.speech.create(
            model=model, voice="alloy", input=_TEXT, response_format="pcm"
        )
        assert answer.response.headers["x-voxgate-engine"] == model
        assert abs(len(answer.content) - seconds(_TEXT) * 48_000) <= 2
        assert texts(answer.content, "pcm") == (_TEXT,)


def buffered_wav_has_true_sizes(servers: Servers) -> None:
    answer = servers.shut.sdk.audio.speech.create(
        model="tts-1", voice="alloy", input=_TEXT, response_format="wav"
    )
    with wave.open(io.BytesIO(answer.content)) as read:
        assert (read.getframerate(), read.getsampwidth(), read.getnchannels()) == (24_000, 2, 1)
        assert read.getnframes() == round(seconds(_TEXT) * 24_000)
    # `data` stands right behind `fmt `: no LIST lies between, and nothing follows.
    assert answer.content[36:40] == b"data"
    assert len(answer.content) == _WAV_HEADER_BYTES + round(seconds(_TEXT) * 48_000)
    assert answer.response.headers["content-length"] == str(len(answer.content))


def streamed_wav_has_no_sizes(servers: Servers) -> None:
    with servers.shut.sdk.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=_TEXT, response_format="wav"
    ) as answer:
        assert "content-length" not in answer.headers
        body = answer.read()
    assert (body[4:8], body[40:44]) == (_NO_SIZE, _NO_SIZE)
    samples, rate = soundfile.read(io.BytesIO(body))
    assert len(samples) == (len(body) - _WAV_HEADER_BYTES) / 2 == round(seconds(_TEXT) * 24_000)
    assert decode(samples, rate) == (_TEXT,)


def mp3_bodies_join(servers: Servers) -> None:
    parts = ("First.", "Then the second one.", "And the last.")
    bodies = [
        servers.shut.sdk.audio.speech.create(model="tts-1", voice="alloy", input=part).content
        for part in parts
    ]
    joined = b"".join(bodies)
    alone = sum(len(decoded(body, "mp3").samples) for body in bodies)
    assert len(decoded(joined, "mp3").samples) == alone
    assert texts(joined, "mp3") == parts


def events_have_openai_s_shape(servers: Servers) -> None:
    with servers.shut.sdk.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="alloy", input=_TEXT, stream_format="sse"
    ) as answer:
        assert answer.headers["content-type"].partition(";")[0] == "text/event-stream"
        lines = [line for line in answer.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines)
    *deltas, done = (json.loads(line.removeprefix("data: ")) for line in lines)
    assert len(deltas) > 1
    assert all(set(delta) == {"type", "audio"} for delta in deltas)
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    audio = b"".join(base64.b64decode(delta["audio"], validate=True) for delta in deltas)
    assert _begins_as("mp3", audio)
    assert texts(audio, "mp3") == (_TEXT,)
    assert done["type"] == "speech.audio.done"
    usage = done["usage"]
    counted = [usage[name] for name in ("input_tokens", "output_tokens", "total_tokens")]
    assert all(type(number) is int and number > 0 for number in counted)
    assert counted[0] + counted[1] == counted[2]


def tts_1_never_sends_events(servers: Servers) -> None:
    for model in ("tts-1", "tts-1-hd"):
        with servers.shut.sdk.audio.speech.with_streaming_response.create(
            model=model, voice="alloy", input=_TEXT, stream_format="sse"
        ) as answer:
            assert answer.headers["content-type"] == "audio/mpeg"
            body = answer.read()
        assert _begins_as("mp3", body)
        assert texts(body, "mp3") == (_TEXT,)


def _begins_as(audio_format: str, body: bytes) -> bool:
    match audio_format:
        case "mp3":
            # Eleven bits of sync, then a layer: ADTS has the same sync, but its layer is always 0.
            return body[0] == 0xFF and body[1] & 0xE0 == 0xE0 and body[1] & 0x06 != 0
        case "aac":
            return body[0] == 0xFF and body[1] & 0xF6 == 0xF0
        case "opus":
            return body.startswith(b"OggS") and body[28:36] == b"OpusHead"
        case "flac":
            return body.startswith(b"fLaC")
        case "wav":
            return body.startswith(b"RIFF") and body[8:16] == b"WAVEfmt "
        case _:
            return len(body) % 2 == 0
