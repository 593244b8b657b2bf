"""The mark as the server asks for it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from plugins.spread.coding import pattern_of
from plugins.spread.detection import find
from plugins.spread.grid import FRAMES_A_TILE, PERIOD_TILES
from plugins.spread.plugin import SpreadSettings
from plugins.spread.stream import SpreadStream
from speech_engine.mark import Detection, MarkKey
from speech_engine.plugin import Context


class SpreadMark:
    """The mark at one strength. Its detector finds it at any."""

    def __init__(self, strength: float = 1.0) -> None:
        self._strength = strength

    def open(self, sample_rate_hz: int, key: MarkKey, payload: int) -> SpreadStream:
        """Open a stream as `Mark.open` says."""
        begin = secrets.randbelow(PERIOD_TILES) * FRAMES_A_TILE
        return SpreadStream(sample_rate_hz, pattern_of(key.secret, payload), begin, self._strength)

    def detect(self, pcm: bytes, sample_rate_hz: int, keys: Sequence[MarkKey]) -> Detection:
        """Look for marks as `Mark.detect` says: first as the sound is, then at other speeds."""
        match = find(pcm, sample_rate_hz, [key.secret for key in keys])
        if not match.is_found:
            return Detection(match.score, match.threshold)
        return Detection(
            match.score,
            match.threshold,
            keys[match.key].id,
            match.payload,
            match.begin_s,
            match.seconds,
        )


@asynccontextmanager
async def create(_name: str, settings: SpreadSettings, _context: Context) -> AsyncIterator[SpreadMark]:
    yield SpreadMark(settings.strength)
