"""The shapes of the fake's answers: an envelope, a gateway's page, and a stream as a network delivers it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import msgspec
from starlette.responses import HTMLResponse, Response

from fakes.minimax.sound import Clip
from plugins.minimax.reading import billed_characters

TRACE = "04ece790375f3ca2edbb44e8c4c200bf"
_HEADERS = {"trace-id": TRACE}
_MESSAGES = {0: "success", 2013: "invalid params"}


def envelope(code: int = 0, reason: str = "", **more: Any) -> dict[str, Any]:
    message = ", ".join(filter(None, (_MESSAGES.get(code, "failed"), reason)))
    return {**more, "trace_id": TRACE, "base_resp": {"status_code": code, "status_msg": message}}


def answer(body: dict[str, Any]) -> Response:
    """Return the body with HTTP 200, even if it is a refusal."""
    return Response(msgspec.json.encode(body), media_type="application/json", headers=_HEADERS)


def gateway(status: int, retry_after: str | None = None) -> Response:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return HTMLResponse(f"<html><h1>{status}</h1></html>", status, _HEADERS | headers)


def extra_info(text: str, clip: Clip, setting: Any) -> dict[str, Any]:
    return {
        "audio_length": clip.length_ms,
        "audio_sample_rate": setting.sample_rate,
        "audio_size": len(clip.data),
        "bitrate": setting.bitrate,
        "word_count": len(text.split()),
        "invisible_character_ratio": 0,
        "usage_characters": billed_characters(text),
        "audio_format": setting.format,
        "audio_channel": setting.channel,
    }


def event(body: dict[str, Any], end: bytes) -> bytes:
    return b"data: " + msgspec.json.encode(body) + end + end


def torn(events: Iterable[bytes], dice: random.Random) -> Iterator[bytes]:
    """Yield the same bytes, cut anywhere.

    A piece may end inside an event or between a byte's two digits. It may also hold two events.
    """
    held = b""
    for each in events:
        held += each
        while len(held) > (size := dice.randint(1, 6000)):
            yield held[:size]
            held = held[size:]
    yield held


async def as_they_come(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
