"""The checks of a client's messages, field by field, as the service's pages describe them."""

from __future__ import annotations

from typing import Any

VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
_EFFORTS = ("minimal", "low", "medium", "high", "xhigh")


class MessageRefusal(Exception):
    """The refusal of one message, with the fields of an `error` event."""

    def __init__(self, code: str, param: str | None = None, kind: str = "invalid_request_error") -> None:
        super().__init__(code)
        self.error = {"type": kind, "code": code, "message": f"Invalid '{param}'.", "param": param}


def check_update(session: dict[str, Any], current: dict[str, Any], *, has_spoken: bool) -> None:
    if session.get("type") != "realtime":
        raise MessageRefusal("missing_required_parameter", "session.type")
    _check_modalities(session, "session")
    output = session.get("audio", {}).get("output", {})
    _check_output(output, "session")
    before = current.get("audio", {}).get("output", {}).get("voice")
    if has_spoken and output.get("voice", before) != before:
        raise MessageRefusal("cannot_update_voice", "session.audio.output.voice")
    if not 0.25 <= output.get("speed", 1.0) <= 1.5:
        raise MessageRefusal("invalid_value", "session.audio.output.speed")
    if session.get("reasoning", {}).get("effort", "low") not in _EFFORTS:
        raise MessageRefusal("invalid_value", "session.reasoning.effort")


def check_create(response: dict[str, Any], session: dict[str, Any], *, has_spoken: bool) -> str:
    _check_modalities(response, "response")
    output = response.get("audio", {}).get("output", {})
    _check_output(output, "response")
    if "speed" in output:
        raise MessageRefusal("unknown_parameter", "response.audio.output.speed")
    voice = session["audio"]["output"].get("voice")
    if has_spoken and output.get("voice", voice) != voice:
        raise MessageRefusal("cannot_update_voice", "response.audio.output.voice")
    metadata = response.get("metadata", {})
    if len(metadata) > 16 or any(len(str(value)) > 512 for value in metadata.values()):
        raise MessageRefusal("invalid_value", "response.metadata")
    tokens = response.get("max_output_tokens", "inf")
    if tokens != "inf" and not 1 <= tokens <= 4096:
        raise MessageRefusal("invalid_value", "response.max_output_tokens")
    try:
        (message,) = response["input"]
        (content,) = message["content"]
        text = content["text"]
    except (KeyError, TypeError, ValueError):
        raise MessageRefusal("invalid_value", "response.input") from None
    return str(text)


def _check_modalities(body: dict[str, Any], where: str) -> None:
    if body.get("output_modalities", ["audio"]) not in (["audio"], ["text"]):
        raise MessageRefusal("invalid_value", f"{where}.output_modalities")


def _check_output(output: dict[str, Any], where: str) -> None:
    voice = output.get("voice", VOICES[0])
    if voice not in VOICES and not (isinstance(voice, dict) and str(voice.get("id")).startswith("voice_")):
        raise MessageRefusal("invalid_value", f"{where}.audio.output.voice")
    if output.get("format", {"type": "audio/pcm", "rate": 24_000}) != {"type": "audio/pcm", "rate": 24_000}:
        raise MessageRefusal("invalid_value", f"{where}.audio.output.format.rate")
