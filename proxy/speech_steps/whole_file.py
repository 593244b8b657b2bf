"""The file of an answer that is sent whole: it is collected on the disk, and then sent in pieces."""

from __future__ import annotations

from collections.abc import Callable

from proxy.audio.formats import Chunk
from proxy.errors import NoDiskSpace, ReaderTooSlow
from proxy.speech.speech_stream import PIECE_BYTES, WholeBytes
from proxy.speech.spill import ReaderPace, SpillFile, SpillQuota, SpillReservation, no_owner

BLOCK_BYTES = 5 * PIECE_BYTES
"""The bytes that are written to the disk at a time. A piece is never split between memory and disk."""


class SpilledBytes:
    """Collected bytes, the newest in memory, the others in a file. Calls `on_cut` if others need the room."""

    def __init__(
        self,
        room: SpillQuota,
        pace: ReaderPace,
        reservation: SpillReservation | None,
        on_cut: Callable[[], None],
    ) -> None:
        self._file = SpillFile(room, self._break_off, pace, reservation)
        self._newest = bytearray()
        self._on_cut = on_cut

    @property
    def size(self) -> int:
        return self._file.size + len(self._newest)

    @property
    def was_cut(self) -> bool:
        return self._file.was_cut

    async def add(self, data: bytes) -> None:
        try:
            self._file.check()
            self._newest += data
            while len(self._newest) >= BLOCK_BYTES:
                block = bytes(self._newest[:BLOCK_BYTES])
                del self._newest[:BLOCK_BYTES]
                await self._file.append(block)
        except ReaderTooSlow:  # raised, though nobody reads yet, if the file has no room or the disk fails
            raise NoDiskSpace("There is no room for a whole answer.", retry_after_s=5.0) from None

    async def read(self, offset: int, count: int) -> bytes:
        self._file.check()
        if offset < self._file.size:
            return await self._file.read(offset, count)
        offset -= self._file.size
        return bytes(self._newest[offset : offset + count])

    async def clear(self) -> None:
        self._newest.clear()
        await self._file.empty()

    async def close(self) -> None:
        self._newest.clear()
        await self._file.close()
        self._on_cut = no_owner

    def _break_off(self) -> None:
        self._newest.clear()
        if self.was_cut:
            self._on_cut()


class FileStream:
    """A whole file as a `SpeechStream`: each piece has its share of the samples."""

    holds_engine = False

    def __init__(self, whole: WholeBytes, samples: int, rate_hz: int, pace: ReaderPace) -> None:
        self._whole = whole
        self._samples = samples
        self._rate_hz = rate_hz
        self._pace = pace
        self._offset = 0
        self._last = Chunk()

    async def read_all(self) -> bytes:
        data = bytearray()
        while len(data) < self._whole.size:
            data += await self._whole.read(len(data), PIECE_BYTES)
        return bytes(data)

    async def next_chunk(self) -> Chunk | None:
        data = await self._whole.read(self._offset, PIECE_BYTES)
        size, start = self._whole.size, self._offset
        self._offset += len(data)
        share = self._samples * self._offset // size - self._samples * start // size
        chunk = Chunk(data, share, self._rate_hz)
        self._pace.note_chunk(chunk)
        if self._offset < size:
            return chunk
        self._last = chunk
        return None

    def last_chunk(self) -> Chunk:
        return self._last

    async def close(self) -> None:
        """Do nothing: the owner closes the file."""
