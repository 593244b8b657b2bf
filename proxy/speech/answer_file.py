"""The file of an answer that is sent whole, as its observers get it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from proxy.audio.formats import OutputForm, final_wav_header
from proxy.speech.speech_stream import PIECE_BYTES, WholeBytes


class AnswerFile:
    """The whole file of a sound: the streamed bytes with a true beginning, and a tag at their end."""

    def __init__(self, sound: WholeBytes, form: OutputForm, rate_hz: int) -> None:
        self._sound = sound
        self._sound_bytes = sound.size
        self._true_header, self._tag = b"", b""
        if form.format == "wav":
            # It began as a stream of unknown length. Now the sizes are known.
            self._true_header, self._tag = final_wav_header(sound.size, rate_hz, is_tagged=bool(form.source))

    @property
    def size(self) -> int:
        return self._sound_bytes + len(self._tag)

    async def read(self, offset: int, count: int) -> bytes:
        """Return `count` bytes. The last piece also has the tag."""
        data = await self._sound.read(offset, count)
        if offset + len(data) == self._sound_bytes:
            data += self._tag
        return data if offset or not self._true_header else self._true_header + data[len(self._true_header) :]

    async def pieces(self) -> AsyncIterator[bytes]:
        offset = 0
        while offset < self.size:
            yield (piece := await self.read(offset, PIECE_BYTES))
            offset += len(piece)
