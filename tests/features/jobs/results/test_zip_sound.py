"""A zip file of known sounds: readers open it, its size is right, and so is every range."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.features.jobs.core.zip_sound import EntryPart, ZipEntry, ZipLayout

LARGE = 0xFFFF_FFFF


def layout(files: Sequence[tuple[str, bytes]]) -> ZipLayout:
    return ZipLayout([ZipEntry(name, len(data), crc32(data)) for name, data in files])


def made(zip_: ZipLayout, files: Sequence[tuple[str, bytes]], start: int, end: int) -> bytes:
    return b"".join(
        files[part.number][1][part.start : part.end] if isinstance(part, EntryPart) else part
        for part in zip_.parts(start, end)
    )


FILES = [("a.mp3", b"sound " * 50), ("empty.wav", b""), ("größer/ß.pcm", bytes(range(256)))]


def test_a_reader_finds_the_names_and_the_bytes() -> None:
    zip_ = layout(FILES)
    whole = made(zip_, FILES, 0, zip_.size)
    assert len(whole) == zip_.size
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        assert archive.testzip() is None
        assert [(name, archive.read(name)) for name in archive.namelist()] == FILES


def test_a_zip_of_nothing_is_one() -> None:
    zip_ = layout([])
    with zipfile.ZipFile(io.BytesIO(made(zip_, [], 0, zip_.size))) as archive:
        assert archive.namelist() == []


@given(st.lists(st.binary(max_size=9), max_size=4), st.integers(0, 600), st.integers(0, 600))
def test_any_range_is_that_of_the_whole(sounds: list[bytes], one: int, other: int) -> None:
    files = [(f"{number}.wav", data) for number, data in enumerate(sounds)]
    zip_ = layout(files)
    start, end = sorted(min(each, zip_.size) for each in (one, other))
    assert made(zip_, files, start, end) == made(zip_, files, 0, zip_.size)[start:end]


def test_more_entries_than_fit_in_16_bits_are_counted() -> None:
    files = [(f"{number}.pcm", b"") for number in range(0x1_0001)]
    zip_ = layout(files)
    with zipfile.ZipFile(io.BytesIO(made(zip_, files, 0, zip_.size))) as archive:
        assert len(archive.namelist()) == len(files)


class Sparse(io.RawIOBase):
    """A zip file whose sounds are zeros, of which only what is asked for is made."""

    def __init__(self, zip_: ZipLayout) -> None:
        self._zip = zip_
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._zip.size}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, into: bytearray | memoryview) -> int:  # type: ignore[override]  # any buffer
        end = min(self._zip.size, self._at + len(into))
        data = b"".join(
            bytes(part.end - part.start) if isinstance(part, EntryPart) else part
            for part in self._zip.parts(self._at, end)
        )
        into[: len(data)] = data
        self._at = end
        return len(data)


@pytest.mark.parametrize("sizes", [(LARGE - 1, 10, 7), (LARGE, 3, 7), (5 * LARGE, LARGE + 1, 7)])
def test_what_is_larger_than_32_bits_is_found(sizes: tuple[int, ...]) -> None:
    last = crc32(bytes(sizes[-1]))
    entries = [ZipEntry(f"{number}.wav", size, last) for number, size in enumerate(sizes)]
    zip_ = ZipLayout(entries)
    assert zip_.size > sum(sizes)
    with zipfile.ZipFile(io.BufferedReader(Sparse(zip_))) as archive:
        assert [(info.filename, info.file_size) for info in archive.infolist()] == [
            (entry.name, entry.bytes) for entry in entries
        ]
        assert archive.read(f"{len(sizes) - 1}.wav") == bytes(sizes[-1])
        with archive.open("0.wav") as first:
            assert first.read(3) == bytes(3)
