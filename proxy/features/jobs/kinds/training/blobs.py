"""Large files of a training, such as its checkpoint: in sealed blobs, and never whole in memory."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator

from proxy.features.jobs.core.encoded_records import EncodedBlob, Role
from proxy.features.jobs.core.file_writer import FileWriter
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.kinds.training.process import TrainingBroken
from speech_engine.training import PIECE_BYTES, FilePiece, FileRole

MOST_BYTES = 4 << 30
"""Of a file: a checkpoint of a large network has about 1.3 GB."""


class BlobFile(FileWriter):
    """A file of a training that comes in pieces."""

    step = 0
    _size = 0

    def __init__(self, files: JobFiles, account: str, job: str, role: Role, voice: str) -> None:
        super().__init__(files, account, job, f" {voice} ", role)
        self._digest = hashlib.sha256()

    async def take(self, piece: FilePiece) -> bool:
        """Take the next piece, and tell whether it was the last one. Raises TrainingBroken."""
        self._size += len(piece.data)
        self._digest.update(piece.data)
        if self._size > MOST_BYTES:
            raise TrainingBroken(f"the {piece.role} has more than {MOST_BYTES} bytes")
        await self.add(piece.data, is_last=piece.is_last)
        if piece.is_last and piece.digest != self._digest.hexdigest():
            raise TrainingBroken(f"the {piece.role} has come damaged")
        self.step = piece.step
        return piece.is_last


async def pieces_of(
    files: JobFiles, rows: list[EncodedBlob], role: FileRole
) -> AsyncGenerator[FilePiece, None]:
    """Yield a stored file in pieces. Raises VaultFailed."""
    digest = hashlib.sha256()
    for row in rows:
        data = await files.whole(row.account, row.digest)
        digest.update(data)
        for at in range(0, len(data), PIECE_BYTES):
            yield FilePiece(role=role, data=data[at : at + PIECE_BYTES])
    yield FilePiece(role=role, data=b"", is_last=True, digest=digest.hexdigest())
