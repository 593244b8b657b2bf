"""Large files of a training, such as its checkpoint: in sealed blobs, and never whole in memory."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import AsyncGenerator

from proxy.features.jobs.core.encoded_records import EncodedBlob, Role
from proxy.features.jobs.core.files import JobFiles
from speech_engine.training import BLOB_BYTES, PIECE_BYTES, FilePiece, FileRole

MOST_BYTES = 4 << 30
"""Of a file: a checkpoint of a large network has about 1.3 GB."""


class DamagedFile(Exception):
    """What came is not what was sent, or is too large."""


class BlobFile:
    """A file that comes in pieces, and is put into blobs. Rows have to name them within an hour."""

    def __init__(self, files: JobFiles, account: str, job: str, role: Role, voice: str) -> None:
        self.rows: list[EncodedBlob] = []
        self.step = 0
        self._files = files
        self._account = account
        self._job = job
        self._role = role
        self._voices = f" {voice} "
        self._buffer = bytearray()
        self._size = 0
        self._digest = hashlib.sha256()

    async def take(self, piece: FilePiece) -> bool:
        """Take the next piece, and tell whether it was the last one. Raises DamagedFile."""
        self._buffer += piece.data
        self._size += len(piece.data)
        self._digest.update(piece.data)
        if self._size > MOST_BYTES:
            raise DamagedFile(f"the {piece.role} has more than {MOST_BYTES} bytes")
        if len(self._buffer) >= BLOB_BYTES or (piece.is_last and self._buffer):
            await self._put()
        if piece.is_last and piece.digest != self._digest.hexdigest():
            raise DamagedFile(f"the {piece.role} has come damaged")
        self.step = piece.step
        return piece.is_last

    async def drop(self) -> None:
        """Drop what was put, and no row names."""
        await self._files.drop(self._account, *(row.digest for row in self.rows))
        self.rows.clear()

    async def _put(self) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        self.rows.append(
            EncodedBlob(
                job=self._job,
                role=self._role,
                number=len(self.rows),
                account=self._account,
                digest=await self._files.put(self._account, data),
                bytes=len(data),
                crc32=zlib.crc32(data),
                voices=self._voices,
            )
        )


async def pieces_of(
    files: JobFiles, rows: list[EncodedBlob], role: FileRole
) -> AsyncGenerator[FilePiece, None]:
    """Yield a kept file in pieces. Raises VaultFailed."""
    digest = hashlib.sha256()
    for row in rows:
        data = await files.whole(row.account, row.digest)
        digest.update(data)
        for at in range(0, len(data), PIECE_BYTES):
            yield FilePiece(role=role, data=data[at : at + PIECE_BYTES])
    yield FilePiece(role=role, data=b"", is_last=True, digest=digest.hexdigest())
