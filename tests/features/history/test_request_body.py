"""The body that is kept asks for the same once more, whatever was asked for."""

from typing import Any

import msgspec

from proxy.features.history.request_body import body_of
from proxy.speech.speech_request import Defaults, SpeechRequest, parse_speech
from tests.tables import each_row

TAKEN = frozenset({"exaggeration", "style"})

BODIES: dict[str, dict[str, Any]] = {
    "nothing more": {},
    "all settings": {
        "response_format": "opus",
        "sample_rate": 16000,
        "bitrate": 24,
        "speed": 0.5,
        "language": "es-419",
        "pitch": -3.5,
        "emotion": "happy",
        "emotion_tags": "refuse",
        "seed": 0,
        "lexicon": "names",
        "markdown": "off",
        "code": "read",
        "instructions": "Whisper.",
    },
    "a rate without a bit rate": {"response_format": "wav", "sample_rate": 8000},
    "each sentence in its language": {"language": "auto"},
    "words": {"lexicon": {"SQL": "sequel"}},
    "a cast": {"voice": {"cast": {"Ana": "alloy", "Ben": "nova"}}},
    "a mix": {"voice": {"mix": [{"id": "alloy", "weight": 0.75}, {"id": "nova", "weight": 0.25}]}},
    "fields of models": {"exaggeration": 0.5, "style": {"a": ["b", None, 1]}},
    "a signed file": {"provenance": "c2pa"},
}


def parsed(body: dict[str, Any]) -> SpeechRequest:
    return parse_speech(msgspec.json.encode(body), Defaults(), lambda: TAKEN)


@each_row("more", BODIES.values(), BODIES.keys())
def test_the_same_is_asked_for(more: dict[str, Any]) -> None:
    request = parsed({"model": "tts-1", "voice": "alloy", "input": "Hello.", **more})
    body = body_of(request)
    assert parsed(body) == request
    assert body == {
        "model": "tts-1",
        "voice": "alloy",
        "input": "Hello.",
        "response_format": "mp3",
        **more,
    }


@each_row("more", [{"stream_format": "sse"}, {"response_format": "json", "audio_format": "flac"}])
def test_sound_of_events_is_asked_for_as_a_file(more: dict[str, Any]) -> None:
    """Nor is it kept, cached or counted in any other way."""
    also = {"history": True, "cache": True, "tag": "a", "temperature": 1}
    body = body_of(parsed({"model": "m", "voice": "v", "input": "Hello.", **more, **also}))
    format_ = more.get("audio_format", "mp3")
    assert body == {"model": "m", "voice": "v", "input": "Hello.", "response_format": format_}
