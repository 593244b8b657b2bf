"""The answer with times, which has one JSON object on each line.

The network may cut the lines at any byte. A line that cannot be read is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
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


class LineReader:
    """A reader of one answer: takes its bytes, cut anywhere, and yields its lines."""

    def __init__(self) -> None:
        self._held = bytearray()

    def __repr__(self) -> str:
        return f"<LineReader, {len(self._held)} bytes held>"

    def feed(self, piece: bytes) -> Iterator[Line]:
        """Yield the lines that this piece completes. Raises EngineFailed at one that cannot be read."""
        self._held += piece
        if b"\n" in piece:
            *whole, rest = bytes(self._held).split(b"\n")
            self._held = bytearray(rest)
            for line in whole:
                if line.strip():
                    yield _read(line)
        elif len(self._held) > _MOST_LINE_BYTES:
            raise EngineFailed("ElevenLabs' answer has a line without an end.")

    def flush(self) -> Iterator[Line]:
        """Yield the last line if it has no end."""
        if self._held.strip():
            yield _read(bytes(self._held))


def _read(line: bytes) -> Line:
    found = decoded(Line, line)
    if found.audio_base64 is None and found.alignment is None and found.detail is None:
        raise EngineFailed("ElevenLabs' answer has a line that says nothing.")
    return found
