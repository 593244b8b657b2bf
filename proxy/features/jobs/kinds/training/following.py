"""Follows a training in a process of this machine: writes its progress, and stores its checkpoints and
exported files. These large files are sealed blobs, and never whole in memory."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator

import structlog

from proxy.features.jobs.core import encoded_records
from proxy.features.jobs.core.encoded_records import EncodedBlob, Role
from proxy.features.jobs.core.file_writer import FileWriter
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import JobStep
from proxy.features.jobs.kinds.training import records
from proxy.features.jobs.kinds.training.process import TrainingBroken
from proxy.features.jobs.kinds.training.records import Training
from proxy.file_store.vault import VaultFailed
from proxy.storage.store import Condition, Params, Statement, StorageFailed, Store
from speech_engine.training import PIECE_BYTES, FilePiece, FileRole, TrainingProgress

MOST_BYTES = 4 << 30
"""The most bytes of a file. A checkpoint of a large network has about 1.3 GB."""


class BlobFile(FileWriter):
    """A file of a training that is received in pieces."""

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
        return piece.is_last


async def read_pieces(
    files: JobFiles, rows: list[EncodedBlob], role: FileRole
) -> AsyncGenerator[FilePiece, None]:
    """Yield a stored file in pieces. Raises VaultFailed."""
    digest = hashlib.sha256()
    for row in rows:
        data = await files.whole(row.account, row.digest)
        digest.update(data)
        for start in range(0, len(data), PIECE_BYTES):
            yield FilePiece(role=role, data=data[start : start + PIECE_BYTES])
    yield FilePiece(role=role, data=b"", is_last=True, digest=digest.hexdigest())


NOTED_EVERY_S = 2.0

_log = structlog.get_logger()
_IS_HELD = """
EXISTS (SELECT 1 FROM job_steps WHERE id = :step_id AND fence = :fence AND lease > 0 AND state = 'wanted')
"""
_IS_OURS = f"""
{_IS_HELD} AND NOT EXISTS (SELECT 1 FROM erasures WHERE subject = :subject)
"""


class TrainingJournal:
    """The `TrainingFollower` of one attempt. `exports` are the files for download. The commit at the end adds
    their rows."""

    def __init__(self, store: Store, files: JobFiles, step: JobStep, training: Training) -> None:
        self.exports: list[BlobFile] = []
        self._store = store
        self._files = files
        self._step = step
        self._training = training
        self._incoming: BlobFile | None = None
        self._is_checkpoint_lost = False
        self._noted_at = -NOTED_EVERY_S
        self._stage = ""

    async def note_progress(self, progress: TrainingProgress) -> None:
        now = asyncio.get_running_loop().time()
        if progress.stage == self._stage and now - self._noted_at < NOTED_EVERY_S:
            return
        self._stage, self._noted_at = progress.stage, now
        try:
            ours: Params = {"step_id": self._step.id, "fence": self._step.fence}
            await records.note_progress(self._store, self._step.job, progress, Condition(_IS_HELD, ours))
        except StorageFailed:
            pass  # the next message has the same facts and newer ones

    async def take_piece(self, piece: FilePiece) -> None:
        """Take a piece. If a checkpoint cannot be stored, it is dropped, and the training goes on."""
        try:
            if not self._is_checkpoint_lost:
                await self._take(piece)
        except (StorageFailed, VaultFailed) as failure:
            if piece.role != "checkpoint":
                raise
            _log.warning("job.training.checkpoint.lost", job=self._training.id, reason=str(failure))
            # Some of its blobs may have been written. Without rows, the clean-up deletes them within an hour.
            self._incoming, self._is_checkpoint_lost = None, True
        if piece.is_last:
            self._is_checkpoint_lost = False

    async def _take(self, piece: FilePiece) -> None:
        if self._incoming is None:
            role: Role = "checkpoint" if piece.role == "checkpoint" else "result"
            training = self._training
            self._incoming = BlobFile(self._files, training.account, training.id, role, training.voice)
        if not await self._incoming.take(piece):
            return
        whole = self._incoming
        if piece.role == "checkpoint":
            await self._store_checkpoint(whole)
        else:
            self.exports.append(whole)
        self._incoming = None

    async def drop(self) -> None:
        for left in (*self.exports, *([self._incoming] if self._incoming else ())):
            await left.drop()

    async def _store_checkpoint(self, checkpoint: BlobFile) -> None:
        """Store a complete checkpoint in place of the last one, if the lease was not lost."""
        step = self._step
        ours: Params = {"step_id": step.id, "fence": step.fence, "subject": self._training.voice}
        of_job: Params = {**ours, "job": step.job}
        insertions = encoded_records.insert_statements(checkpoint.rows, _IS_OURS)
        _, replaced, *_ = await self._store.write(
            *encoded_records.removal_statements(
                f"{_IS_OURS} AND job_encoded.job = :job AND job_encoded.role = 'checkpoint'", of_job
            ),
            *(Statement(each.sql, {**each.params, **ours}) for each in insertions),
        )
        for row in replaced:
            await self._files.drop(row["account"], row["digest"])
        stored = await encoded_records.list_file(self._store, step.job, "checkpoint")
        if [row.digest for row in stored] != [row.digest for row in checkpoint.rows]:
            await checkpoint.drop()
