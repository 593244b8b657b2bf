"""Trainings on rented machines: this sends their input, and stores their results piece by piece.

Nothing is in memory between two pieces, so any worker of a server can store the next one. A file whose pieces
are not all there has a role of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import aclosing

import msgspec

from proxy.errors import NotFound, RequestFailed, UpstreamFailed
from proxy.features.jobs.core import encoded_records
from proxy.features.jobs.core.encoded_records import IS_RESULT, EncodedBlob, Role
from proxy.features.jobs.core.file_writer import FileWriter
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import JOBS
from proxy.features.jobs.kinds.training import records
from proxy.features.jobs.kinds.training.following import MOST_BYTES, read_pieces
from proxy.features.jobs.kinds.training.process import MOST_VOICE_BYTES, TrainingBroken
from proxy.features.jobs.kinds.training.records import Training
from proxy.features.jobs.kinds.training.remote_runs import TrainingRuns
from proxy.features.jobs.kinds.training.training_engines import TrainingEngines
from proxy.features.jobs.kinds.training.training_input import TrainingInput, TrainingInputs
from proxy.storage.store import Condition, Params, Statement, Store
from speech_engine.training import (
    BLOB_BYTES,
    FarPiece,
    FileRole,
    RemoteMessage,
    Train,
    TrainingMessage,
    TrainingProgress,
    recording_pieces,
)

CHECKPOINT_EVERY_STEPS = 2_000
"""Seldom: each checkpoint is a large upload, and a run that stops early sends one anyway."""
_PARTIAL_ROLES: Mapping[FileRole, Role] = {
    "checkpoint": "checkpoint_part",
    "voice": "voice_part",
    "onnx": "onnx_part",
}
_MOST_PIECES = MOST_BYTES // BLOB_BYTES

_IS_OURS = """
EXISTS (SELECT 1 FROM job_steps WHERE id = :step_id AND state = 'wanted')
AND NOT EXISTS (SELECT 1 FROM erasures WHERE subject = :subject) AND ({only_if})
"""
_IS_NEXT = """
(CAST(:number AS BIGINT) = 0 OR EXISTS (
    SELECT 1 FROM job_encoded AS former WHERE former.job = :job AND former.role = :role
    AND former.number = :number - 1
))
"""
_OF_FILE = "job_encoded.job = :job AND job_encoded.role = :role"
_OF_PARTS = f"job_encoded.job = :job AND job_encoded.role <> 'checkpoint' AND NOT {IS_RESULT}"
# After the rows are moved, only the name shows that our piece is there.
_IS_IN = "EXISTS (SELECT 1 FROM job_encoded AS mine WHERE mine.job = :job AND mine.digest = :digest)"
_PIECE = """
SELECT bytes, crc32 FROM job_encoded WHERE job = :job AND role = :role AND number = :number
"""
_MOVE = f"UPDATE job_encoded SET role = :whole WHERE {_OF_FILE} AND {{only}}"


class TrainingsOnRunners:
    """The input of trainings at runners, and the storage of the messages that their machines send. `runs` has
    the runs of each engine whose runner can be used, by the engine's name."""

    def __init__(
        self, store: Store, files: JobFiles, input_reader: TrainingInput, trainers: TrainingEngines
    ) -> None:
        self._store = store
        self._files = files
        self._input_reader = input_reader
        self._trainers = trainers
        self.runs: dict[str, TrainingRuns] = {}

    async def read_input(self, job: str, digests: Collection[str]) -> AsyncGenerator[TrainingMessage, None]:
        """Yield the input of a job's training, and `Train` at the end. Partial files of an earlier machine
        are dropped.

        `digests` are the recordings in the run's row, by which an erasure finds the run: no others are sent.
        Raises NotFound if the voice has other recordings by now, the job has ended, or the account lost the
        right to train. After other failures the caller may try again.
        """
        training = await records.get(self._store, job)
        if training is None:
            raise _training_not_found()
        inputs = await self._inputs(training)
        if {*inputs.digests} != {*digests}:
            raise _training_not_found()
        _, parts = await self._store.write(
            *encoded_records.removal_statements(_OF_PARTS, {"job": training.id})
        )
        await self._files.drop(training.account, *(row["digest"] for row in parts))
        await records.drop_lost_steps(self._store, job)
        try:
            async with aclosing(inputs.recordings) as recordings:
                async for recording in recordings:
                    for part in recording_pieces(recording):
                        yield part
        except TrainingBroken as broken:
            raise UpstreamFailed(f"A recording cannot be had now: {broken}", retry_after_s=5.0) from None
        if checkpoint := await self.checkpoint(job):
            async with aclosing(read_pieces(self._files, checkpoint, "checkpoint")) as pieces:
                async for piece in pieces:
                    yield piece
        yield Train(msgspec.structs.replace(inputs.order, checkpoint_every=CHECKPOINT_EVERY_STEPS))

    async def store_message(self, job: str, step: str, message: RemoteMessage, only_if: Condition) -> None:
        """Store a message of a step's training if `only_if` is true in the commit. A message may come twice.
        Raises NotFound if the training has ended, or an earlier piece is missing."""
        training = await records.get(self._store, job)
        if training is None:
            raise _training_not_found()
        ours: Params = {"step_id": step, "subject": training.voice, **only_if.params}
        is_ours = Condition(_IS_OURS.format(only_if=only_if.sql), ours)
        if isinstance(message, TrainingProgress):
            # The preparation counts recordings, not steps of the training.
            ran = 0 if message.stage == "preparing" else min(message.step, training.asked)
            await records.note_progress(self._store, job, message, is_ours, ran=ran)
        else:
            await self._store_piece(training, message, is_ours)

    async def checkpoint(self, job: str) -> list[EncodedBlob]:
        return await encoded_records.list_file(self._store, job, "checkpoint")

    async def voice(self, job: str) -> bytes:
        """Return the received voice. Raises TrainingBroken, VaultFailed."""
        rows = await encoded_records.list_file(self._store, job, "voice_part")
        if not 0 < sum(row.bytes for row in rows) <= MOST_VOICE_BYTES:
            raise TrainingBroken("the voice has not come, or is too large")
        return b"".join([await self._files.whole(row.account, row.digest) for row in rows])

    @staticmethod
    def take_statement(job: str, finished: str) -> Statement:
        """Return the statement that makes the received ONNX file the job's result, if the SQL `finished` is
        true."""
        params: Params = {"job": job, "role": "onnx_part", "whole": "result"}
        return Statement(_MOVE.format(only=finished), params)

    async def _inputs(self, training: Training) -> TrainingInputs:
        """Return the input of a training. Raises NotFound if the account may not train any more, and another
        failure if the caller may try again."""
        job, info = (
            await JOBS.get(self._store, None, training.id),
            self._trainers.trained_model_info(training.engine),
        )
        if job is None or job.state != "open":
            raise _training_not_found()
        if info is None:
            # This worker has just begun, and does not know the engine's facts yet.
            raise UpstreamFailed("The engine is not known yet.", retry_after_s=5.0)
        try:
            # An open run goes on to its end, also while the account is suspended: the next one waits.
            inputs = await self._input_reader.training_inputs(job, training, info, may_be_suspended=True)
        except RequestFailed as failure:
            if failure.status >= 500 or failure.status == 429:
                raise
            raise _training_not_found() from None
        if inputs is None:
            raise _training_not_found()
        return inputs

    async def _store_piece(self, training: Training, piece: FarPiece, is_ours: Condition) -> None:
        """Store a piece of a file. Raises NotFound."""
        role, data = _PARTIAL_ROLES[piece.role], piece.data
        digest, crc32 = await asyncio.to_thread(lambda: (hashlib.sha256(data).hexdigest(), zlib.crc32(data)))
        if not 0 <= piece.number < _MOST_PIECES or digest != piece.digest:
            raise _training_not_found()
        if not piece.is_last and await self._has_piece(training.id, role, piece.number, len(data), crc32):
            # A late copy of a piece: the pieces after it stay.
            return
        writer = FileWriter(self._files, training.account, training.id, f" {training.voice} ", role)
        row = await writer.put(piece.number, data)
        noted = records.store_statement(training, piece.step, _IS_IN)
        is_whole = piece.role == "checkpoint" and piece.is_last
        is_written = await self._write(row, is_ours, noted if is_whole else None)
        if not is_written:
            await self._files.drop(row.account, row.digest)
            if not await self._is_checkpoint_end(row):
                raise _training_not_found()

    async def _write(self, row: EncodedBlob, is_ours: Condition, noted: Statement | None) -> bool:
        """Write a piece, delete the pieces of its file from its number on, and return whether it was written.
        `noted` is given with the last piece of a checkpoint, which then replaces the former checkpoint."""
        file: Params = {"job": row.job, "role": row.role, "number": row.number}
        ours: Params = {**is_ours.params, **file}
        (insertion,) = encoded_records.insert_statements([row], f"{is_ours.sql} AND {_IS_NEXT}")
        replaced = encoded_records.removal_statements(
            f"{_OF_FILE} AND job_encoded.number >= :number AND {is_ours.sql}", ours
        )
        statements = [*replaced, Statement(f"{insertion.sql} RETURNING number", {**insertion.params, **ours})]
        if noted is not None:
            last: Params = {"job": row.job, "role": "checkpoint", "digest": row.digest}
            moved: Params = {**last, "role": row.role, "whole": "checkpoint"}
            statements += encoded_records.removal_statements(f"{_OF_FILE} AND {_IS_IN}", last)
            statements.append(Statement(_MOVE.format(only=_IS_IN), moved))
            statements.append(Statement(noted.sql, {**noted.params, "digest": row.digest}))
        _, replaced_rows, added, *moved_rows = await self._store.write(*statements)
        for each in (*replaced_rows, *(moved_rows[1] if noted is not None else ())):
            await self._files.drop(each["account"], each["digest"])
        return bool(added)

    async def _has_piece(self, job: str, role: Role, number: int, size: int, crc32: int) -> bool:
        """Tell whether a piece of this size and check sum is stored."""
        rows = await self._store.read(_PIECE, {"job": job, "role": role, "number": number})
        return [(row["bytes"], row["crc32"]) for row in rows] == [(size, crc32)]

    async def _is_checkpoint_end(self, row: EncodedBlob) -> bool:
        """Tell whether this piece is the end of the stored checkpoint: it was sent again as its answer was
        lost."""
        if row.role != "checkpoint_part":
            return False
        return await self._has_piece(row.job, "checkpoint", row.number, row.bytes, row.crc32)


def _training_not_found() -> NotFound:
    return NotFound("There is nothing here.")
