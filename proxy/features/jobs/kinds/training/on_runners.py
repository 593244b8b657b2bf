"""Trainings on rented machines: this sends their input, and stores the files that they send in pieces.

Each piece has a row (`EncodedBlob`). Nothing is in memory between two pieces, so any worker of a server can
store the next one. Until all pieces of a file have come, their rows have one of the roles `_PARTIAL_ROLES`.
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

# The step of the job is open, the voice is not erased, and the caller's condition holds.
_MAY_STORE = """
EXISTS (SELECT 1 FROM job_steps WHERE id = :step_id AND state = 'wanted')
AND NOT EXISTS (SELECT 1 FROM erasures WHERE subject = :subject) AND ({only_if})
"""
_HAS_FORMER_PIECE = """
(CAST(:number AS BIGINT) = 0 OR EXISTS (
    SELECT 1 FROM job_encoded AS former WHERE former.job = :job AND former.role = :role
    AND former.number = :number - 1
))
"""
_OF_FILE = "job_encoded.job = :job AND job_encoded.role = :role"
_OF_PARTIAL_FILES = f"job_encoded.job = :job AND job_encoded.role <> 'checkpoint' AND NOT {IS_RESULT}"
# A row may get another role in the same commit, so the digest alone shows that our piece is stored.
_IS_STORED = "EXISTS (SELECT 1 FROM job_encoded AS mine WHERE mine.job = :job AND mine.digest = :digest)"
_FIND_PIECE = """
SELECT bytes, crc32 FROM job_encoded WHERE job = :job AND role = :role AND number = :number
"""
_CHANGE_ROLE = f"UPDATE job_encoded SET role = :whole WHERE {_OF_FILE} AND {{only}}"


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
        """Yield the input of a job's training, and `Train` at the end. Before it, drop the partial files and
        the lost training steps of an earlier machine.

        `digests` are the recordings in the run's row, by which an erasure finds the run: no others may be
        sent. Raises NotFound if the voice has other recordings by now, the job has ended, or the account lost
        the right to train. After other failures the caller may try again.
        """
        training = await records.get(self._store, job)
        if training is None:
            raise _training_not_found()
        inputs = await self._permitted_inputs(training)
        if {*inputs.digests} != {*digests}:
            raise _training_not_found()
        _, dropped_rows = await self._store.write(
            *encoded_records.removal_statements(_OF_PARTIAL_FILES, {"job": training.id})
        )
        await self._files.drop(training.account, *(row["digest"] for row in dropped_rows))
        await records.drop_lost_steps(self._store, job)
        try:
            async with aclosing(inputs.recordings) as recordings:
                async for recording in recordings:
                    for piece in recording_pieces(recording):
                        yield piece
        except TrainingBroken as broken:
            raise UpstreamFailed(f"A recording cannot be had now: {broken}", retry_after_s=5.0) from None
        if checkpoint := await self.list_checkpoint(job):
            async with aclosing(read_pieces(self._files, checkpoint, "checkpoint")) as pieces:
                async for checkpoint_piece in pieces:
                    yield checkpoint_piece
        yield Train(msgspec.structs.replace(inputs.order, checkpoint_every=CHECKPOINT_EVERY_STEPS))

    async def store_message(
        self, job: str, job_step: str, message: RemoteMessage, only_if: Condition
    ) -> None:
        """Store a message of a training if `only_if` is true in the commit. A message may come twice. Raises
        NotFound if the training has ended, or an earlier piece is missing."""
        training = await records.get(self._store, job)
        if training is None:
            raise _training_not_found()
        params: Params = {"step_id": job_step, "subject": training.voice, **only_if.params}
        may_store = Condition(_MAY_STORE.format(only_if=only_if.sql), params)
        if isinstance(message, TrainingProgress):
            # The preparation counts recordings, not steps of the training.
            ran = 0 if message.stage == "preparing" else min(message.step, training.asked)
            await records.note_progress(self._store, job, message, may_store, ran=ran)
        else:
            await self._store_piece(training, message, may_store)

    async def list_checkpoint(self, job: str) -> list[EncodedBlob]:
        return await encoded_records.list_file(self._store, job, "checkpoint")

    async def read_voice(self, job: str) -> bytes:
        """Return the received voice. Raises TrainingBroken, VaultFailed."""
        rows = await encoded_records.list_file(self._store, job, "voice_part")
        if not 0 < sum(row.bytes for row in rows) <= MOST_VOICE_BYTES:
            raise TrainingBroken("the voice has not come, or is too large")
        return b"".join([await self._files.whole(row.account, row.digest) for row in rows])

    @staticmethod
    def result_statement(job: str, finished: str) -> Statement:
        """Return the statement that makes the received ONNX file the job's result, if the SQL `finished` is
        true."""
        params: Params = {"job": job, "role": "onnx_part", "whole": "result"}
        return Statement(_CHANGE_ROLE.format(only=finished), params)

    async def _permitted_inputs(self, training: Training) -> TrainingInputs:
        """Return the input of a training. Raises NotFound if the account may not train any more, and another
        failure if the caller may try again."""
        job = await JOBS.get(self._store, None, training.id)
        if job is None or job.state != "open":
            raise _training_not_found()
        info = self._trainers.trained_model_info(training.engine)
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

    async def _store_piece(self, training: Training, piece: FarPiece, may_store: Condition) -> None:
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
        ends_checkpoint = piece.role == "checkpoint" and piece.is_last
        note_steps = None
        if ends_checkpoint:
            note_steps = records.checkpoint_steps_statement(training, piece.step, _IS_STORED)
        if not await self._put_piece(row, may_store, note_steps):
            await self._files.drop(row.account, row.digest)
            if not await self._is_checkpoint_end(row):
                raise _training_not_found()

    async def _put_piece(self, row: EncodedBlob, may_store: Condition, note_steps: Statement | None) -> bool:
        """Write a piece in place of the pieces of its file from its number on. Return whether it was written.
        With `note_steps`, it is the last piece of a checkpoint, which then replaces the former checkpoint."""
        params: Params = {**may_store.params, "job": row.job, "role": row.role, "number": row.number}
        removal = encoded_records.removal_statements(
            f"{_OF_FILE} AND job_encoded.number >= :number AND {may_store.sql}", params
        )
        (adding,) = encoded_records.insert_statements([row], f"{may_store.sql} AND {_HAS_FORMER_PIECE}")
        addition = Statement(f"{adding.sql} RETURNING number", {**adding.params, **params})
        replacement: list[Statement] = []
        if note_steps is not None:
            former: Params = {"job": row.job, "role": "checkpoint", "digest": row.digest}
            replacement = [
                *encoded_records.removal_statements(f"{_OF_FILE} AND {_IS_STORED}", former),
                Statement(
                    _CHANGE_ROLE.format(only=_IS_STORED), {**former, "role": row.role, "whole": "checkpoint"}
                ),
                Statement(note_steps.sql, {**note_steps.params, "digest": row.digest}),
            ]
        _, removed, added, *others = await self._store.write(*removal, addition, *replacement)
        # Of the two statements that remove the former checkpoint, the second one returns its rows.
        former_checkpoint = others[1] if others else ()
        for each in (*removed, *former_checkpoint):
            await self._files.drop(each["account"], each["digest"])
        return bool(added)

    async def _has_piece(self, job: str, role: Role, number: int, size: int, crc32: int) -> bool:
        """Tell whether a piece of this size and check sum is stored."""
        rows = await self._store.read(_FIND_PIECE, {"job": job, "role": role, "number": number})
        return [(row["bytes"], row["crc32"]) for row in rows] == [(size, crc32)]

    async def _is_checkpoint_end(self, row: EncodedBlob) -> bool:
        """Tell whether this piece is the end of the stored checkpoint: it was sent again as its answer was
        lost."""
        if row.role != "checkpoint_part":
            return False
        return await self._has_piece(row.job, "checkpoint", row.number, row.bytes, row.crc32)


def _training_not_found() -> NotFound:
    return NotFound("There is nothing here.")
