"""A provider's own signed file, which is the parent of the manifest in ours."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

from proxy.audio.frames_mp3 import Original
from proxy.features.marks.signing_queue import FileSource


class OriginalFile:
    """A provider's own file, rebuilt from the answer's file in constant memory."""

    def __init__(self, file: FileSource, original: Original) -> None:
        self._file = file
        self._taken_out = original.taken_out

    @property
    def size(self) -> int:
        return self._file.size + sum(len(each.data) for each in self._taken_out)

    async def pieces(self) -> AsyncIterator[bytes]:
        begin, left = 0, deque(self._taken_out)
        async for piece in self._file.pieces():
            at, end = begin, begin + len(piece)
            while left and left[0].at <= end:
                taken_out = left.popleft()
                yield piece[at - begin : taken_out.at - begin]
                yield taken_out.data
                at = taken_out.at
            yield piece[at - begin :]
            begin = end
