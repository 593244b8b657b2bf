"""A streamed answer. Its pieces cut samples and lines, and it ends when its client is gone."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fakes.faults import CutOff, ScriptedFault

_PIECE_BYTES = 4_097
"""An odd size, so that pieces cut samples and lines."""
_LINES = 7


class Streamed(Response):
    """An answer. `leave` is called at its end, also if the answer is cut short at `cut_at`."""

    def __init__(
        self,
        body: bytes,
        *,
        media_type: str,
        headers: dict[str, str],
        leave: Callable[[], None],
        cut_at: int | None = None,
    ) -> None:
        super().__init__(media_type=media_type, headers=headers)
        del self.headers["content-length"]
        self._body = body if cut_at is None else body[:cut_at]
        self._is_cut = cut_at is not None
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            for start in range(0, len(self._body), _PIECE_BYTES):
                piece = self._body[start : start + _PIECE_BYTES]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if self._is_cut:
                raise CutOff
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._leave()


def lines(text: str, seconds: float, audio: bytes, fault: ScriptedFault | None) -> bytes:
    """Return the audio with times: one object a line, and an empty line among them.

    The times count from the start of the answer.
    """
    objects = [_line(text, seconds, audio, number) for number in range(_LINES)]
    objects.insert(1, b"")
    if fault and fault.name == "error_midstream":
        harm = b'{"audio_base64":"AAA' if fault.code == "broken" else _refusal(fault.code)
        objects[3:] = [harm]
    return b"\n".join(objects) + b"\n"


def timed(text: str, seconds: float, audio: bytes) -> dict[str, Any]:
    alignment = _alignment(text, seconds, 0, len(text))
    return {
        "audio_base64": base64.b64encode(audio).decode(),
        "alignment": alignment,
        "normalized_alignment": alignment,
    }


def _line(text: str, seconds: float, audio: bytes, number: int) -> bytes:
    def part(length: int) -> tuple[int, int]:
        return length * number // _LINES, length * (number + 1) // _LINES

    begin, end = part(len(audio))
    alignment = _alignment(text, seconds, *part(len(text)))
    fields = {"audio_base64": base64.b64encode(audio[begin:end]).decode(), "alignment": alignment}
    return msgspec.json.encode({**fields, "normalized_alignment": alignment})


def _alignment(text: str, seconds: float, begin: int, end: int) -> dict[str, Any]:
    each_s = seconds / len(text)
    return {
        "characters": list(text[begin:end]),
        "character_start_times_seconds": [place * each_s for place in range(begin, end)],
        "character_end_times_seconds": [(place + 1) * each_s for place in range(begin, end)],
    }


def _refusal(code: str) -> bytes:
    return msgspec.json.encode({"detail": {"status": code or "system_busy", "message": "No."}})
