"""Requests that bring a recording of the voice, as servers that clone on the fly take them.

vLLM-Omni takes `ref_audio` and `ref_text` in its JSON; another voxgate takes a form.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from speech_engine import HttpFile, HttpForm, Sample
from speech_engine.pcm import wav_file

_WAV = "audio/wav"
_CONSENT = "true"
"""This server has the speaker's consent, or its operator waives it; the other one only gets the statement."""


def json_body(fields: dict[str, Any], pcm: bytes, rate_hz: int, sample: Sample) -> dict[str, Any]:
    """Return a body with the recording as a data URL."""
    audio = base64.b64encode(wav_file(pcm, rate_hz)).decode()
    body = {**fields, "ref_audio": f"data:{_WAV};base64,{audio}"}
    if sample.text:
        body["ref_text"] = sample.text
    return body


def form_body(fields: dict[str, Any], pcm: bytes, rate_hz: int, sample: Sample) -> HttpForm:
    """Return a form with the recording as a file."""
    texts = [
        (name, value if isinstance(value, str) else msgspec.json.encode(value).decode())
        for name, value in fields.items()
    ]
    texts.append(("consent", _CONSENT))
    if sample.text:
        texts.append(("reference_text", sample.text))
    file = HttpFile("reference_audio", "recording.wav", wav_file(pcm, rate_hz), _WAV)
    return HttpForm(tuple(texts), (file,))
