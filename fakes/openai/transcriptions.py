"""Transcriptions and translations of the fake, field by field as each kind of server takes them."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request

from fakes.ears import Recording, hear, words_of
from fakes.faults import ScriptedFault
from fakes.forms import form_of
from fakes.openai.bodies import RequestRefusal
from fakes.openai.habits import Habits

_MOST_BYTES = 25 * 1024 * 1024
_LEAST_S = 0.1
_FIELDS = {"model", "language", "temperature", "prompt", "response_format", "timestamp_granularities[]"}
_OF_NEWEST = {"languages[]", "keywords[]"}
_STRANGE = {
    "nan": b'{"text": "One", "segments": [{"text": "One", "start": NaN, "end": 1.0}]}',
    "endless": b'{"text": "One", "segments": [{"text": "One", "start": 0, "end": 1e999}]}',
    "nanoseconds": b'{"text": "One", "segments": [{"text": "One", "start": 0, "end": 9640000000}]}',
    "huge": b'{"text": "' + b"A" * (5 * 1024 * 1024) + b'"}',
    "long": b'{"text": "' + b"A" * (1024 * 1024) + b'"}',
    "untimed": b'{"text": "One."}',
}
"""The answers of a `wrong_codec` by its `code`. Any other code gives text that is no JSON."""


class TranscriptionBody(NamedTuple):
    recording: Recording
    task: str
    language: str
    is_newest: bool
    is_verbose: bool
    granularities: list[str]


def asked(request: Request, raw: bytes, habits: Habits) -> TranscriptionBody:
    """Return what a request asks for. Raises RequestRefusal at the first wrong field."""
    form = form_of(request.headers.get("content-type", ""), raw)
    task = "translate" if request.url.path.endswith("translations") else "transcribe"
    model = form.fields.get("model", "")
    if model not in habits.hearing:
        raise RequestRefusal(habits.unknown_model, "No such model.", "model_not_found", field="model")
    is_newest = "gpt-transcribe" in model
    known = _FIELDS | (_OF_NEWEST if is_newest else set())
    if task == "translate":
        known -= {"language"}
    if not habits.takes_prompts:
        known -= {"prompt", "response_format"}
    if strange := form.fields.keys() - known:
        raise RequestRefusal(400, "Unknown.", "unknown_parameter", field=min(strange))
    format_ = form.fields.get("response_format", "json")
    if format_ == "verbose_json" and "whisper" not in model:
        raise RequestRefusal(400, "Use 'json'.", "unsupported_value", field="response_format")
    granularities = form.lists.get("timestamp_granularities[]", [])
    if granularities and format_ != "verbose_json":
        raise RequestRefusal(400, "Only with verbose_json.", "invalid_value", field="response_format")
    language = form.fields.get("language", form.fields.get("languages[]", "en"))
    return TranscriptionBody(
        _recording(form.files), task, language, is_newest, format_ == "verbose_json", granularities
    )


def _recording(files: Any) -> Recording:
    data = next((file.data for file in files if file.field == "file"), b"")
    if len(data) > _MOST_BYTES:
        raise RequestRefusal(413, "Maximum content size limit exceeded.", None, kind="server_error")
    try:
        found = hear(data)
    except ValueError:
        raise RequestRefusal(400, "Invalid file format.", None, field="file") from None
    if found.seconds < _LEAST_S:
        raise RequestRefusal(400, "Audio file is too short.", "audio_too_short", field="file")
    return found


def answer(body: TranscriptionBody, fault: ScriptedFault | None) -> bytes:
    if fault and fault.name == "wrong_codec":
        return _STRANGE.get(fault.code, b"WEBVTT")
    found, frames = body.recording, body.recording.frames
    text = found.text.upper() if body.task == "translate" else found.text
    usage = {"type": "duration", "seconds": round(found.seconds)}
    if not body.is_verbose:
        languages = {"languages": [{"code": body.language}]} if body.is_newest else {}
        return msgspec.json.encode({"text": text, "usage": usage, **languages})
    segments = [
        {
            "id": number,
            "seek": 0,
            "start": frame.start_s,
            # Whisper fills its last window.
            "end": frame.end_s if frame is not frames[-1] else frame.end_s + 2.0,
            "text": f" {frame.text.upper() if body.task == 'translate' else frame.text}",
            "tokens": [50364, 1],
            "temperature": 0.0,
            "avg_logprob": -0.25,
            "compression_ratio": 1.1,
            "no_speech_prob": 0.01,
        }
        for number, frame in enumerate(frames)
    ]
    whole = {"task": body.task, "language": "english", "duration": found.seconds, "text": text}
    # Its words have no marks.
    words = [
        {"word": word.text.strip(".,?!"), "start": word.start_s, "end": word.end_s}
        for frame in frames
        for word in words_of(frame)
    ]
    timed = {"words": words} if "word" in body.granularities else {}
    return msgspec.json.encode({**whole, "segments": segments, **timed, "usage": usage})
