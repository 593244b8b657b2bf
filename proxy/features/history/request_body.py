"""A request as the body that asks for the same speech once more."""

from __future__ import annotations

from typing import Any

from proxy.speech.client_fields import decode_extra
from proxy.speech.speech_request import SpeechRequest

_DEFAULTS: dict[str, object] = {
    "speed": 1.0,
    "language": None,
    "pitch": 0.0,
    "emotion": None,
    "emotion_tags": "drop",
    "instructions": "",
    "lexicon": None,
    "markdown": "auto",
    "code": "skip",
    "seed": None,
    "provenance": None,
    "check": None,
    "on_wrong": "send",
}
"""Fields that a body leaves out if they have these values."""


def body_of(request: SpeechRequest) -> dict[str, Any]:
    """Return the body of a request, or of a conversion its form without the recording. Its sound comes as a
    file, also if it came as events."""
    body: dict[str, Any] = {"model": request.model}
    if request.source is None:
        body["input"] = request.text
    body["voice"] = _voice(request)
    body["response_format"] = request.form.format
    if not request.form.is_usual:
        body["sample_rate"] = request.form.sample_rate_hz
    if request.form.kbit_s is not None:
        body["bitrate"] = request.form.kbit_s
    for name, default in _DEFAULTS.items():
        if (value := getattr(request, name)) != default:
            body[name] = value
    if request.by_sentence:
        body["language"] = "auto"
    return {**body, **decode_extra(request.extra)}


def _voice(request: SpeechRequest) -> str | dict[str, Any]:
    if request.cast:
        return {"cast": dict(request.cast)}
    if request.mix:
        return {"mix": [{"id": id_, "weight": weight} for id_, weight in request.mix]}
    return request.voice
