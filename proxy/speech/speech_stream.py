"""The interface of a speech: made by one engine, by several in turn, or replayed from the cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from proxy.audio.formats import Chunk
from proxy.speech.spoken_word import SpokenWord

PIECE_BYTES = 48 * 1024
"""The most bytes of a piece of a whole sound. In base64 they are 64 KiB, without padding."""


class WholeBytes(Protocol):
    """Complete bytes of a known number."""

    @property
    def size(self) -> int: ...

    async def read(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset` on, or the rest. Raises EngineError if they are gone.

        `offset` must be a multiple of `PIECE_BYTES`, and `count` must be `PIECE_BYTES`.
        """
        ...


class FileSink(Protocol):
    """The destination of a file that replaces that of an answer."""

    async def clear(self) -> None:
        """Forget the added bytes: they are sent again."""
        ...

    async def add(self, data: bytes) -> None:
        """Take the next bytes. Raises EngineError if there is no room."""
        ...


class SoundDigest(msgspec.Struct):
    """The SHA-256 of a whole sound, "" until its first use."""

    sha256: str = ""


class WholeSound(WholeBytes, Protocol):
    """The bytes of a whole sound, their samples, and their digest."""

    @property
    def samples(self) -> int: ...

    @property
    def digest(self) -> SoundDigest: ...


class SpeechStream(Protocol):
    """A speech that has begun: its first bytes exist, in the format of the request.

    One task owns it. The samples of all chunks add up to its length. `next_chunk` and `last_chunk` raise
    EngineError if it breaks, and a cancelled `next_chunk` ends it. The owner always calls `close`, which
    leaves nothing running; a second call does nothing.
    """

    @property
    def holds_engine(self) -> bool:
        """Whether the engine waits for the reader, so that a slow client blocks a slot or a host's memory."""
        ...

    async def next_chunk(self) -> Chunk | None:
        """Return the next chunk, which is never empty, or None when only the last one is left."""
        ...

    def last_chunk(self) -> Chunk:
        """Return the last chunk, which is never empty. Call it once, when `next_chunk` has returned None."""
        ...

    async def close(self) -> None: ...


class Speech(SpeechStream, Protocol):
    """A stream of a request's speech, with the facts for its answer."""

    @property
    def engine(self) -> str:
        """The speaker as `engine/model`. Several are joined by a comma and a blank, in order.

        The speaker of a later part is its first candidate.
        """
        ...

    @property
    def words(self) -> Sequence[SpokenWord] | None:
        """The timed words so far, complete at the last chunk. None if words have no times."""
        ...

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def stored(self) -> WholeSound | None:
        """The whole sound, if it is complete before it is read."""
        ...


class ChunkReader:
    """Reads a stream of PCM as plain bytes, the last chunk among them."""

    def __init__(self, stream: SpeechStream) -> None:
        self._stream = stream
        self._is_over = False

    async def next_pcm(self) -> bytes | None:
        if self._is_over:
            return None
        chunk = await self._stream.next_chunk()
        if chunk is None:
            self._is_over = True
            chunk = self._stream.last_chunk()
        return chunk.data
