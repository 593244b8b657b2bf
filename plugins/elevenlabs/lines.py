"""The answer with times, which has one JSON object on each line.

The network may cut the lines at any byte. A line that cannot be read is an error.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import msgspec

from plugins.elevenlabs.alignment import Alignment
from plugins.elevenlabs.api import decoded
from speech_engine.errors import EngineFailed

_MOST_LINE_BYTES = 16 * 1024 * 1024


class Line(msgspec.Struct, frozen=True):
    """A line of the answer. If the answer ends in a refusal, the last line has `detail` and no audio."""

    audio_base64: bytes | None = None
    alignment: Alignment | None = None
    detail: Any = None

    def __repr__(self) -> str:
        return f"<Line of {len(self.audio_base64 or b'')} bytes>"


async def lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[Line, None]:
    held = bytearray()
    async for piece in pieces:
        held += piece
        if b"\n" in piece:
            *whole, rest = bytes(held).split(b"\n")
            held = bytearray(rest)
            for line in whole:
                if line.strip():
                    yield _read(line)
        elif len(held) > _MOST_LINE_BYTES:
            raise EngineFailed("ElevenLabs' answer has a line without an end.")
    if held.strip():
        yield _read(bytes(held))


def _read(line: bytes) -> Line:
    found = decoded(Line, line)
    if found.audio_base64 is None and found.alignment is None and found.detail is None:
        raise EngineFailed("ElevenLabs' answer has a line that says nothing.")
    return found
