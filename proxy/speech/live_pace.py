"""Sound at the pace at which it plays: a client that hangs up pays for little that it did not hear."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.audio.formats import Chunk
from proxy.speech.speech_stream import SpeechStream
from proxy.speech.spill import ReaderPace

AHEAD_S = 5.0
"""So much is sent ahead, or a slow moment of the network would be a gap."""

_PIECE_S = 0.5


class PacedStream:
    """A stream that gives its sound in small pieces, at most `AHEAD_S` before they play.

    `is_hurried` tells when to stop waiting: the server ends, or the client has gone.
    """

    holds_engine = False
    """What it reads from is read ahead."""

    def __init__(self, sound: SpeechStream, is_hurried: Callable[[], bool], pace: ReaderPace) -> None:
        self._sound = sound
        self._is_hurried = is_hurried
        self._pace = pace
        self._rest = Chunk()
        self._began: float | None = None
        self._given_s = 0.0

    async def next_chunk(self) -> Chunk | None:
        if not self._rest.data:
            chunk = await self._sound.next_chunk()
            if chunk is None:
                return None
            self._rest = chunk
        piece, self._rest = self._rest.split(self._piece_bytes())
        await self._wait(piece.samples / piece.sample_rate_hz)
        return piece

    def last_chunk(self) -> Chunk:
        return self._sound.last_chunk()

    async def close(self) -> None:
        await self._sound.close()

    def _piece_bytes(self) -> int:
        seconds = self._rest.samples / self._rest.sample_rate_hz
        return max(1, round(len(self._rest.data) * _PIECE_S / max(seconds, _PIECE_S)))

    async def _wait(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        if self._began is None:
            self._began = now
        self._given_s += seconds
        ahead_s = self._given_s - (now - self._began) - AHEAD_S
        if ahead_s > 0 and not self._is_hurried():
            with self._pace.resting():
                await asyncio.sleep(ahead_s)
