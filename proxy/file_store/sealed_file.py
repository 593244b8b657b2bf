"""The reader of a sealed object, which reads it in parts, and opens each part in a thread."""

from __future__ import annotations

import asyncio
from typing import Self

from proxy.file_store.master_keys import VaultFailed
from proxy.file_store.objects import Objects
from proxy.file_store.sealing import (
    FRAME_BYTES,
    HEAD_BYTES,
    SEALED_FRAME_BYTES,
    SealedFrames,
    Tampered,
    sealed_bytes,
)

_PART_FRAMES = 4
_PART_BYTES = _PART_FRAMES * SEALED_FRAME_BYTES


class SealedFileReader:
    """Reads a recording from its start, or from the byte of `seek`. It keeps no file open, so that after an
    erasure it can read no more."""

    def __init__(self, objects: Objects, name: str, digest: str, frames: SealedFrames, first: bytes) -> None:
        self._objects = objects
        self._name = name
        self._digest = digest
        self._frames = frames
        # The first part came with the head.
        self._first = first
        self._next_frame = 0
        self._skipped_bytes = 0

    @classmethod
    async def open(
        cls, objects: Objects, name: str, plain_bytes: int, key: bytes, account: str, digest: str
    ) -> Self:
        """Read the head and the first part. Raises VaultFailed."""
        first = await _read(objects, name, digest, 0, HEAD_BYTES + _PART_BYTES)
        try:
            frames = SealedFrames(first[:HEAD_BYTES], sealed_bytes(plain_bytes), key, account, digest)
        except Tampered:
            raise damaged(_shown(digest)) from None
        return cls(objects, name, digest, frames, first[HEAD_BYTES:])

    def seek(self, start: int) -> None:
        self._next_frame, self._skipped_bytes = divmod(start, FRAME_BYTES)

    async def next_part(self) -> bytes:
        """Return the next 256 KiB, or the rest, and b"" at the end. Raises VaultFailed."""
        frame = self._next_frame
        if frame * FRAME_BYTES >= self._frames.plain_bytes:
            return b""
        sealed = self._first
        if frame:
            start = HEAD_BYTES + frame * SEALED_FRAME_BYTES
            sealed = await _read(self._objects, self._name, self._digest, start, _PART_BYTES)
        try:
            plain = await asyncio.to_thread(self._open_part, frame, sealed)
        except Tampered:
            raise damaged(_shown(self._digest)) from None
        self._next_frame += _PART_FRAMES
        skipped_bytes, self._skipped_bytes = self._skipped_bytes, 0
        return plain[skipped_bytes:]

    async def whole(self) -> bytes:
        """Return the whole recording, with few requests to a bucket. Raises VaultFailed."""
        sealed, size = self._first, sealed_bytes(self._frames.plain_bytes) - HEAD_BYTES
        if len(sealed) < size:
            # The first part is read again, because joining the rest to it would copy all bytes.
            sealed = await _read(self._objects, self._name, self._digest, HEAD_BYTES, size)
        try:
            plain = await asyncio.to_thread(self._frames.open, 0, sealed)
        except Tampered:
            raise damaged(_shown(self._digest)) from None
        if len(plain) != self._frames.plain_bytes:
            raise damaged(_shown(self._digest))
        return plain

    def _open_part(self, frame: int, sealed: bytes) -> bytes:
        plain = self._frames.open(frame, sealed)
        if len(plain) != min(_PART_FRAMES * FRAME_BYTES, self._frames.plain_bytes - frame * FRAME_BYTES):
            raise Tampered
        return plain


async def _read(objects: Objects, name: str, digest: str, start: int, length: int) -> bytes:
    try:
        return await objects.read(name, start, length)
    except FileNotFoundError as error:
        raise VaultFailed(f"{_shown(digest)} cannot be read: {error.strerror}") from None


def damaged(what: str) -> VaultFailed:
    return VaultFailed(f"{what} is damaged, or was exchanged for another")


def _shown(digest: str) -> str:
    return f"recording {digest[:8]}"
