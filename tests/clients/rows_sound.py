"""Rows of the checklist about the bytes of an answer that are the same for whoever asks."""

import io
import wave

import soundfile

from plugins.tone.decode import decode
from tests.clients.servers import Servers, seconds, texts
from tests.sound import decoded

_TEXT = "The quick brown fox."
_WAV_HEADER_BYTES = 44
_NO_SIZE = b"\xff\xff\xff\xff"


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
