"""Answers of each kind, and the audio of an answer as its client saves it."""

import base64
import json
from typing import Any

import httpx2

ANSWERS: dict[str, dict[str, Any]] = {
    "stream": {"response_format": "mp3"},
    "whole wav": {"response_format": "wav"},
    "events": {"response_format": "wav", "stream_format": "sse"},
    "json": {"response_format": "json"},
}


def saved(answer: httpx2.Response) -> bytes:
    kind = answer.headers["content-type"].partition(";")[0]
    if kind == "application/json":
        return base64.b64decode(answer.json()["audio_base64"])
    if kind != "text/event-stream":
        return answer.content
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    return b"".join(base64.b64decode(event["audio"]) for event in events if "audio" in event)
