"""A sealed recording as a file: read whole, or a part at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from proxy.file_store import sealing
from proxy.file_store.master_keys import VaultFailed
from proxy.file_store.sealing import FRAME_BYTES, HEAD_BYTES, SEALED_FRAME_BYTES, SealedFrames, Tampered

_PART_FRAMES = 4


class SealedFileReader:
    """Reads a recording from its start, or from a byte on. It keeps no file open, so an erasure ends it."""

    def __init__(self, path: Path, key: bytes, account: str, digest: str) -> None:
        """Wait for the disk. Raises VaultFailed."""
        self._path = path
        self._digest = digest
        self._next_frame = 0
        self._skipped = 0
        try:
            with path.open("rb") as file:
                head = file.read(HEAD_BYTES)
            self._frames = SealedFrames(head, path.stat().st_size, key, account, digest)
        except Tampered:
            raise damaged(_name(digest)) from None
        except OSError as error:
            raise _unreadable(digest, error) from None

    def seek(self, start: int) -> None:
        self._next_frame, self._skipped = divmod(start, FRAME_BYTES)

    async def next_part(self) -> bytes:
        """Return the next 256 KiB, or the rest. Raises VaultFailed."""
        return await asyncio.to_thread(self._read_part)

    @property
    def _is_at_end(self) -> bool:
        return self._next_frame * FRAME_BYTES >= self._frames.plain_bytes

    def _read_part(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                file.seek(HEAD_BYTES + self._next_frame * SEALED_FRAME_BYTES)
                sealed = file.read(_PART_FRAMES * SEALED_FRAME_BYTES)
            if not sealed and not self._is_at_end:
                raise Tampered
            plain = self._frames.open(self._next_frame, sealed)
        except Tampered:
            raise damaged(_name(self._digest)) from None
        except OSError as error:
            raise _unreadable(self._digest, error) from None
        self._next_frame += _PART_FRAMES
        skipped, self._skipped = self._skipped, 0
        return plain[skipped:]


def read(path: Path, key: bytes, account: str, digest: str) -> bytes:
    try:
        return sealing.open_sealed(path.read_bytes(), key, account, digest)
    except Tampered:
        raise damaged(_name(digest)) from None
    except OSError as error:
        raise _unreadable(digest, error) from None


def damaged(what: str) -> VaultFailed:
    return VaultFailed(f"{what} is damaged, or was exchanged for another")


def _unreadable(digest: str, error: OSError) -> VaultFailed:
    return VaultFailed(f"{_name(digest)} cannot be read: {error.strerror}")


def _name(digest: str) -> str:
    return f"recording {digest[:8]}"
