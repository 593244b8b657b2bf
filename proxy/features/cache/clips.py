"""A clip: a whole answer on the disk. The bytes as they were sent come first, then their metadata.

`load`, `touch` and `Clip.read` wait for the disk and raise OSError.
"""

from __future__ import annotations

import os
import time
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import msgspec

from proxy.file_store import locked_files
from proxy.speech.speech_stream import PIECE_BYTES, SoundDigest
from proxy.speech.spoken_word import SpokenWord
from speech_engine.redacted import Redacted

BLOCK_BYTES = 256 * 1024
"""A clip with at most so many bytes is read as a whole when it is found."""

_LENGTH_BYTES = 4
_MOST_ABOUT_BYTES = 4 * 1024 * 1024
TOUCH_EVERY_S = 60.0
"""A clip's use is written at most once in this time."""


class About(Redacted, msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The metadata of the bytes: the speakers, for header and usage row, and the times of words.
    `speakers` has one for each part."""

    spoken_by: str
    engine: str
    model: str
    samples: int
    sample_rate_hz: int
    words: tuple[SpokenWord, ...] | None
    audio_bytes: int
    speakers: tuple[str, ...]

    def encoded(self) -> bytes:
        about = msgspec.msgpack.encode(self)
        return about + len(about).to_bytes(_LENGTH_BYTES)


class Identity(NamedTuple):
    """Tells whether a name still stands for the same file."""

    inode: int
    written_ns: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Identity:
        return cls(stat.st_ino, stat.st_mtime_ns)


class Clip:
    """`start` is the beginning of the sound. If it is all of the sound, there is no `rest`. The digest
    lives as long as the clip is in memory."""

    def __init__(self, about: About, start: bytes, rest: FileIO | None, identity: Identity) -> None:
        self.about = about
        self.start = start
        self.rest = rest
        self.identity = identity
        self.digest = SoundDigest()

    @property
    def seconds(self) -> float:
        return self.about.samples / self.about.sample_rate_hz

    def read(self, offset: int, count: int) -> bytes:
        assert self.rest is not None
        data = os.pread(self.rest.fileno(), min(count, self.about.audio_bytes - offset), offset)
        if not data:
            raise OSError("a kept answer was cut short")
        return data

    def close(self) -> None:
        if self.rest is not None:
            self.rest.close()


def load(path: Path, valid_since: float) -> Clip | None:
    """Load a clip and note its use. Return None if there is none, if it is damaged, or if it was written
    before `valid_since`, in seconds of Unix time."""
    file = locked_files.open_whole(path)
    if file is None:
        return None
    clip = None
    try:
        stat = os.fstat(file.fileno())
        if stat.st_mtime >= valid_since:
            clip = _read(file, stat)
            _touch(file.fileno(), stat)
    finally:
        if clip is None or clip.rest is None:
            file.close()
    return clip


def identity(path: str) -> Identity | None:
    """Identify the file that has this name now, or return None. The system answers from memory, so this needs
    no thread."""
    try:
        return Identity.of(os.stat(path))
    except OSError:
        return None


def touch(path: str) -> None:
    """Note that the clip was used just now. The clips without a use are the first to go."""
    _touch(path, os.stat(path))


def _touch(file: str | int, stat: os.stat_result) -> None:
    now = time.time_ns()
    if now - stat.st_atime_ns > TOUCH_EVERY_S * 1e9:
        os.utime(file, ns=(now, stat.st_mtime_ns))


def _read(file: FileIO, stat: os.stat_result) -> Clip | None:
    about = _about(file, stat.st_size)
    if about is None:
        return None
    # Read no more than is kept in memory: a larger buffer that shrinks afterwards would leave holes there.
    most = about.audio_bytes if about.audio_bytes <= BLOCK_BYTES else PIECE_BYTES
    start = os.pread(file.fileno(), most, 0)
    is_whole = about.audio_bytes <= len(start)
    return Clip(about, start, None if is_whole else file, Identity.of(stat))


def _about(file: FileIO, size: int) -> About | None:
    """Return None for a foreign or damaged file. The next clip with this file name replaces it."""
    end = size - _LENGTH_BYTES
    length = int.from_bytes(os.pread(file.fileno(), _LENGTH_BYTES, max(0, end)))
    if not 0 < length <= min(end, _MOST_ABOUT_BYTES):
        return None
    try:
        about = msgspec.msgpack.decode(os.pread(file.fileno(), length, end - length), type=About)
    except msgspec.DecodeError:
        return None
    return about if about.audio_bytes == end - length > 0 else None
