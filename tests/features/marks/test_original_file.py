"""A provider's own file, which is made again from the answer's."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from proxy.audio.frames_mp3 import Original, TakenOut
from proxy.features.marks.original_file import OriginalFile


class InPieces:
    """A file that comes in pieces of this size."""

    def __init__(self, data: bytes, piece_bytes: int) -> None:
        self._data = data
        self._piece_bytes = piece_bytes

    @property
    def size(self) -> int:
        return len(self._data)

    async def pieces(self) -> AsyncIterator[bytes]:
        for at in range(0, self.size, self._piece_bytes):
            yield self._data[at : at + self._piece_bytes]


PARTS = st.lists(st.tuples(st.binary(max_size=3), st.binary(min_size=1, max_size=9)), min_size=1, max_size=6)


@given(PARTS, st.binary(max_size=3), st.integers(1, 12))
async def test_an_original_has_all_that_was_taken_out_in_its_place(
    parts: list[tuple[bytes, bytes]], end: bytes, piece_bytes: int
) -> None:
    """Each part is something that is taken out, and the sound behind it."""
    taken_out, sound, whole = [], b"", b""
    for data, behind in parts:
        taken_out.append(TakenOut(len(sound), data))
        sound += behind
        whole += data + behind
    taken_out.append(TakenOut(len(sound), end))
    file = OriginalFile(InPieces(sound, piece_bytes), Original(len(sound), tuple(taken_out)))
    assert b"".join([piece async for piece in file.pieces()]) == whole + end
    assert file.size == len(whole + end)
