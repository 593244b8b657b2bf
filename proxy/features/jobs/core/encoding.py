"""Runs the last step of jobs in formats that cannot be joined: it encodes the sound of all steps as files.

It is free, and reads and writes the vault piece by piece. A worker runs one such step at a time. The commit
that ends the job adds all rows of the files. A kill leaves blobs without rows, and the next holder of the
lease begins again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING

import structlog

from proxy.audio.encode import Encoder, flac_with_length, open_encoder
from proxy.audio.formats import IPTC_RULES, IPTC_TRAINED, SAMPLE_BYTES, USUAL_KBITS, OutputForm, SoundFailed
from proxy.errors import ErrorDetail, RequestFailed
from proxy.features.jobs.core import ends, records
from proxy.features.jobs.core.encoded_records import WHOLE_JOB, EncodedBlob
from proxy.features.jobs.core.ends import SOUND_ERASED
from proxy.features.jobs.core.fields import M4B, StepFields
from proxy.features.jobs.core.file_writer import FileWriter
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.joined_sound import JoinedSound
from proxy.features.jobs.core.m4b_facts import FactsOf, M4bChapter
from proxy.features.jobs.core.records import FILES, Job, JobClip, JobStep
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.file_store.objects import VaultAway, VaultRefused
from proxy.file_store.sealed_blobs import StoredFile
from proxy.file_store.vault import VaultFailed
from proxy.queue.tasks import TRY_AGAIN, Delayed, Done, Result, TaskKind
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.spoken_voices import voices_column
from proxy.storage.store import Condition, Store

MOST_TRIES = 8
WAITS_S, MOST_WAIT_S = 10.0, 60.0
_PROTECT_EVERY_S = 15 * 60.0
"""How often new blobs are protected from the clean-up, which drops a blob without a row after an hour."""

if TYPE_CHECKING:
    from proxy.features.jobs.core.m4b import M4bEncoder

MakeFiles = Callable[["FileMaking", Job, Sequence[JobClip]], Awaitable[None]]
"""Makes the files of a job. Raises VaultFailed, SoundFailed, FileGone, and RequestFailed."""

_log = structlog.get_logger()
_BROKEN = ErrorDetail("Its sound could not be encoded.", "server_error", None, "internal_error")


class FileSteps(TaskKind[JobStep]):
    """The last steps of jobs in one server: each makes the files of its job."""

    name = "files of jobs"
    table = FILES
    may_outlive_worker = False
    most_at_once = 1

    def __init__(
        self,
        store: Store,
        files: JobFiles,
        notices: DeliveryTasks,
        facts: FactsOf,
        make_files: MakeFiles,
    ) -> None:
        super().__init__(store)
        self._facts = facts
        self._make_files = make_files
        self._files = files
        self._notices = notices
        self._wait_s = WAITS_S

    def is_last_try(self, task: JobStep) -> bool:
        return task.tries + 1 >= MOST_TRIES

    def commit_condition(self, step: JobStep) -> Condition:
        return records.step_condition(step)

    def after_attempt(self, step: JobStep, result: Result) -> None:
        if isinstance(result, Done):
            self._notices.look_now()

    async def work(self, step: JobStep) -> Result:
        job = await records.JOBS.get(self._store, None, step.job)
        if job is None or job.state != "open":
            return TRY_AGAIN
        clips = await records.list_clips(self._store, job.id)
        if len(clips) < job.steps:
            return await self._end_as_failed(step, SOUND_ERASED)
        making = FileMaking(self._files, job, self._facts)
        try:
            await self._make_files(making, job, clips)
            # If the process stood still for long, the clean-up may have dropped blobs. Then this raises
            # FileGone.
            await making.keep_blobs()
        except asyncio.CancelledError:
            # The job may have ended because a voice was erased, so no blob may stay.
            await making.undo()
            raise
        except (VaultFailed, SoundFailed) as failed:
            await making.undo()
            if len(await records.list_clips(self._store, job.id)) < job.steps:
                return await self._end_as_failed(step, SOUND_ERASED)
            _log.error("job.file.failed", job=job.id, reason=str(failed))
            if isinstance(failed, VaultAway) and not isinstance(failed, VaultRefused):
                # The disk is full, or the object store is away. The sound is there, so the job waits.
                wait_s, self._wait_s = self._wait_s, min(2 * self._wait_s, MOST_WAIT_S)
                return Delayed(_BROKEN.message, wait_s, is_try=False)
            return (
                await self._end_as_failed(step, _BROKEN)
                if self.is_last_try(step)
                else Delayed(_BROKEN.message)
            )
        except FileGone:
            await making.undo()
            return TRY_AGAIN
        except RequestFailed as failed:
            await making.undo()
            _log.warning("job.file.refused", job=job.id, code=failed.code)
            if failed.status < 500 and failed.status != 429:
                return await self._end_as_failed(step, failed.body().error)
            return Delayed(failed.message, WAITS_S, is_try=False)
        self._wait_s = WAITS_S
        now = await self._store.now()
        return Done({"state": "done"}, ends.statements_after_file(step, now, making.files, self._notices))

    async def _end_as_failed(self, step: JobStep, why: ErrorDetail) -> Done:
        also = ends.statements_after_no_file(step, await self._store.now(), why, self._notices)
        return Done({"state": "failed", "due": LAST_MOMENT, "error": why.message}, also)


class FileGone(Exception):
    """The clean-up has dropped a blob of a file before the file was complete."""


class FileMaking:
    """Makes the files of a job in one attempt. `undo` drops the blobs that no row names. Methods that write
    may raise FileGone."""

    def __init__(self, files: JobFiles, job: Job, facts: FactsOf) -> None:
        self._writers: list[FileWriter] = []
        self._files = files
        self._job = job
        self._facts = facts
        self._monotonic_s = asyncio.get_running_loop().time
        self._protected_at_s = self._monotonic_s()

    @property
    def files(self) -> list[EncodedBlob]:
        return [row for writer in self._writers for row in writer.rows]

    async def make_joined(self, clips: Sequence[JobClip]) -> None:
        """Make one file of all clips, or one for each chapter."""
        job = self._job
        fields = self._files.vault.open_record(job.account, job.id, job.record, StepFields)
        form = form_of_file(job.format, fields, clips)
        parts = [(WHOLE_JOB, clips)] if fields.files == "one" else []
        # A chapter that was not chosen has no steps: its `first` is 0.
        chosen = [(n, each) for n, each in enumerate(fields.chapters, 1) if each.first]
        parts += [(n, clips[each.first - 1 : each.last]) for n, each in chosen]
        for chapter, own in parts:
            await self._make_file(chapter, JoinedSound(self._files, own, fields), form)

    async def undo(self) -> None:
        for writer in self._writers:
            await writer.drop()

    def writer(
        self,
        chapter: int,
        clips: Sequence[JobClip],
        begin: Callable[[bytes], bytes] = bytes,
        head_bytes: int = 0,
    ) -> FileWriter:
        """Begin the file of this number, in which the voices of these clips speak."""
        voices = voices_column({voice for clip in clips for voice in clip.voices.split()})
        account, id_ = self._job.account, self._job.id
        made = FileWriter(
            self._files, account, id_, voices, chapter=chapter, begin=begin, head_bytes=head_bytes
        )
        self._writers.append(made)
        return made

    async def add_part(self, writer: FileWriter, data: bytes, *, is_last: bool = False) -> None:
        await writer.add(data, is_last=is_last)
        await self.keep_blobs(_PROTECT_EVERY_S)

    async def _make_file(self, chapter: int, sound: JoinedSound, form: OutputForm) -> None:
        """Make the file of this sound."""
        mp4 = await self.open_mp4(form, sound.samples, sound.marks) if form.format == M4B else None
        encoder = await open_encoder_in_thread(form) if mp4 is None else mp4
        head_bytes = mp4.head_bytes if mp4 is not None else 0
        writer = self.writer(chapter, sound.clips, length_writer(form, sound.samples), head_bytes)
        async with aclosing(encode_file(sound.file, encoder)) as parts:
            async for part in parts:
                await self.add_part(writer, part)
        await self.add_part(writer, b"", is_last=True)
        if mp4 is not None:
            await writer.add_head(mp4.head)

    async def open_mp4(self, form: OutputForm, samples: int, marks: Sequence[M4bChapter] = ()) -> M4bEncoder:
        # Imported here, because it loads libav, which most servers never need.
        from proxy.features.jobs.core.m4b import M4bEncoder

        facts, rate_hz = await self._facts(self._job), form.sample_rate_hz
        kbit_s = form.kbit_s or USUAL_KBITS[rate_hz]
        make = partial(M4bEncoder, facts, marks, rate_hz, kbit_s, samples, is_book=form.format == M4B)
        return await asyncio.to_thread(make)

    async def keep_blobs(self, every_s: float = 0.0) -> None:
        """Protect the new blobs from the clean-up, unless that was done less than `every_s` ago."""
        if (now := self._monotonic_s()) - self._protected_at_s < every_s:
            return
        self._protected_at_s = now
        if not await self._files.keep(self._job.account, [each.digest for each in self.files]):
            raise FileGone


async def open_encoder_in_thread(form: OutputForm) -> Encoder:
    return await asyncio.to_thread(open_encoder, form)


def length_writer(form: OutputForm, samples: int) -> Callable[[bytes], bytes]:
    """Return the function that writes a file's length into its first blob. For most formats it changes
    nothing."""
    return partial(flac_with_length, samples=samples) if form.format == "flac" else bytes


def form_of_file(format_: str, fields: StepFields, clips: Sequence[JobClip]) -> OutputForm:
    """Return the form of a job's file. If one of the clips was marked as synthetic speech, the file is
    marked, too."""
    sources = {clip.source for clip in clips}
    source = next((each for each in (IPTC_TRAINED, IPTC_RULES) if each in sources), "")
    rate_hz = clips[0].sample_rate_hz
    return OutputForm(format_, rate_hz, fields.kbit_s, is_usual=False, source=source)


async def encode_file(pcm_file: StoredFile, encoder: Encoder) -> AsyncGenerator[bytes, None]:
    """Yield the encoded sound of a file, and close the encoder. Raises VaultFailed and SoundFailed."""
    # One thread, so that the encoder is closed after its last call, even if this is cancelled.
    threads, loop, half_sample = ThreadPoolExecutor(1), asyncio.get_running_loop(), b""
    try:
        async with aclosing(pcm_file.parts(range(pcm_file.size))) as parts:
            async for part in parts:
                pcm = half_sample + part
                whole = len(pcm) - len(pcm) % SAMPLE_BYTES
                half_sample = pcm[whole:]
                yield (await loop.run_in_executor(threads, encoder.feed, pcm[:whole])).data
        yield (await loop.run_in_executor(threads, encoder.flush)).data
    finally:
        threads.submit(encoder.close)
        threads.shutdown(wait=False)
