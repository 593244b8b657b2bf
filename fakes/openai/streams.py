"""Speech as server-sent events, written as each kind of server writes them."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from fakes.openai.bodies import RequestRefusal
from fakes.openai.habits import Habits


def events(pieces: Iterator[bytes], characters: int, habits: Habits) -> Iterator[bytes]:
    for piece in pieces:
        if habits.comments:
            yield f": keep-alive{habits.line_end * 2}".encode()
        audio = base64.b64encode(piece).decode()
        field, _, inner = habits.payload.partition(".")
        value = {inner: audio} if inner else audio
        yield _event({"type": "speech.audio.delta", field: value}, habits)
    if habits.ends_with in ("done", "both"):
        usage = {"input_tokens": characters, "output_tokens": 100, "total_tokens": characters + 100}
        yield _event({"type": "speech.audio.done", habits.usage: usage}, habits)
    if habits.ends_with in ("[DONE]", "both"):
        yield f"data: [DONE]{habits.line_end * 2}".encode()


def error_event(refusal: RequestRefusal, habits: Habits) -> bytes:
    kind = "speech.audio.error" if habits.names_events else "error"
    return _event({"type": kind, "error": envelope(refusal)}, habits)


def envelope(refusal: RequestRefusal) -> dict[str, Any]:
    return {
        "message": refusal.message,
        "type": refusal.kind,
        "param": refusal.field,
        "code": refusal.code,
    }


def _event(value: dict[str, Any], habits: Habits) -> bytes:
    name = f"event: {value['type']}{habits.line_end}" if habits.names_events else ""
    return f"{name}data: {msgspec.json.encode(value).decode()}{habits.line_end * 2}".encode()
