"""The last step of a job whose format cannot be joined: it encodes the sound of all steps as one file.

It costs nothing, and reads and writes the vault piece by piece. A worker runs one at a time. A kill leaves
blobs without rows, and the next holder begins again: the commit that ends the job adds all rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial

import structlog

from proxy.audio.encode import flac_with_length, open_encoder
from proxy.audio.formats import RULES, SAMPLE_BYTES, TRAINED, OutputForm, SoundFailed
from proxy.errors import ErrorDetail
from proxy.features.jobs.core import ends, records
from proxy.features.jobs.core.encoded_records import EncodedBlob
from proxy.features.jobs.core.ends import ERASED
from proxy.features.jobs.core.fields import StepFields
from proxy.features.jobs.core.file_writer import FileWriter
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.records import FILES, Job, JobClip, JobStep
from proxy.features.webhooks.delivery_tasks import DeliveryTasks
from proxy.file_store.sealed_blobs import StoredFile
from proxy.file_store.vault import Vault, VaultFailed
from proxy.queue.tasks import Again, Done, Result, TaskKind
from proxy.storage.rows import LAST_MOMENT
from proxy.storage.store import Condition, Store
from proxy.storage.tombstones import voices_column

MOST_TRIES = 8
_KEEP_S = 15 * 60.0
"""A blob that no row names is dropped after an hour."""
_LEFT = Again(is_try=False)

_log = structlog.get_logger()
_BROKEN = ErrorDetail("Its sound could not be encoded.", "server_error", None, "internal_error")


class FileSteps(TaskKind[JobStep]):
    """The last steps of jobs in one server: each makes the files of its job."""

    name = "files of jobs"
    table = FILES
    outlives = False
    at_once = 1

    def __init__(self, store: Store, vault: Vault, files: JobFiles, notices: DeliveryTasks) -> None:
        super().__init__(store)
        self._vault = vault
        self._files = files
        self._notices = notices

    def gives_up(self, task: JobStep) -> bool:
        return task.tries + 1 >= MOST_TRIES

    def only_if(self, held: JobStep) -> Condition:
        return records.is_wanted(held)

    def noted(self, held: JobStep, result: Result) -> None:
        if isinstance(result, Done):
            self._notices.look_soon()

    async def work(self, held: JobStep) -> Result:
        job = await records.JOBS.get(self._store, None, held.job)
        if job is None or job.state != "open":
            return _LEFT
        clips = await records.list_clips(self._store, job.id)
        if len(clips) < job.steps:
            return await self._failed(held, ERASED)
        making = _Making(self._files, job)
        try:
            fields = self._vault.open_record(job.account, job.id, job.record, StepFields)
            is_made = await making.make_all(fields, clips)
        except asyncio.CancelledError:
            # The job may be over because a voice was erased.
            await making.undo()
            raise
        except (VaultFailed, SoundFailed) as failed:
            await making.undo()
            if len(await records.list_clips(self._store, job.id)) < job.steps:
                return await self._failed(held, ERASED)
            _log.error("job.file.failed", job=job.id, reason=str(failed))
            return await self._failed(held, _BROKEN) if self.gives_up(held) else Again(_BROKEN.message)
        if not is_made:
            await making.undo()
            return _LEFT
        now = await self._store.now()
        return Done({"state": "done"}, ends.after_file(held, now, making.files, self._notices))

    async def _failed(self, held: JobStep, why: ErrorDetail) -> Done:
        also = ends.after_no_file(held, await self._store.now(), why, self._notices)
        return Done({"state": "failed", "due": LAST_MOMENT, "error": why.message}, also)


class _Making:
    """The files of one attempt. Their blobs are dropped by `undo`, unless a commit names them."""

    def __init__(self, files: JobFiles, job: Job) -> None:
        self._writers: list[FileWriter] = []
        self._files = files
        self._job = job
        self._clock = asyncio.get_running_loop().time
        self._protected_at = self._clock()

    @property
    def files(self) -> list[EncodedBlob]:
        return [row for writer in self._writers for row in writer.rows]

    async def make_all(self, fields: StepFields, clips: Sequence[JobClip]) -> bool:
        """Make all files. False: a part of them was dropped meanwhile."""
        form = form_of_file(self._job.format, fields, clips)
        if fields.files == "one" and not await self._file(0, clips, form):
            return False
        for number, chapter in enumerate(fields.chapters, 1):
            if not await self._file(number, clips[chapter.first - 1 : chapter.last], form):
                return False
        # If the process stood still for long, the clean-up may have dropped a file: then it is made again.
        return await self._keep()

    async def undo(self) -> None:
        for writer in self._writers:
            await writer.drop()

    async def _file(self, chapter: int, clips: Sequence[JobClip], form: OutputForm) -> bool:
        """Make the file of these clips. False: a part of it was dropped meanwhile."""
        voices = voices_column({voice for clip in clips for voice in clip.voices.split()})
        samples = sum(clip.bytes for clip in clips) // SAMPLE_BYTES
        begin = partial(flac_with_length, samples=samples) if form.format == "flac" else bytes
        job = self._job
        writer = FileWriter(self._files, job.account, job.id, voices, chapter=chapter, begin=begin)
        self._writers.append(writer)
        async with aclosing(encoded(self._files, clips, form)) as parts:
            async for part in parts:
                await writer.add(part)
                if not await self._keep(_KEEP_S):
                    return False
        await writer.add(b"", is_last=True)
        return True

    async def _keep(self, every_s: float = 0.0) -> bool:
        """Protect the new blobs from the clean-up, unless that was done less than `every_s` ago. False: one
        of them is gone."""
        if (now := self._clock()) - self._protected_at < every_s:
            return True
        self._protected_at = now
        return await self._files.keep(self._job.account, [each.digest for each in self.files])


def form_of_file(format_: str, fields: StepFields, clips: Sequence[JobClip]) -> OutputForm:
    """Return the form of a job's file. It marks the speech as a machine's if answers would be marked."""
    sources = {clip.source for clip in clips}
    source = next((each for each in (TRAINED, RULES) if each in sources), "")
    rate_hz = clips[0].sample_rate_hz
    return OutputForm(format_, rate_hz, fields.kbit_s, is_usual=False, source=source)


async def encoded(files: JobFiles, clips: Sequence[JobClip], form: OutputForm) -> AsyncGenerator[bytes, None]:
    """Yield the encoded sound of these clips, one after the other. Raises VaultFailed and SoundFailed."""
    # One thread, so that the end comes last, also after a cancellation.
    threads, loop, odd = ThreadPoolExecutor(1), asyncio.get_running_loop(), b""
    encoder = await asyncio.to_thread(open_encoder, form)
    try:
        pcm_file = StoredFile.of_blobs(files, clips)
        async with aclosing(pcm_file.parts(range(pcm_file.size))) as parts:
            async for part in parts:
                pcm = odd + part
                whole = len(pcm) - len(pcm) % SAMPLE_BYTES
                odd = pcm[whole:]
                yield (await loop.run_in_executor(threads, encoder.feed, pcm[:whole])).data
        yield (await loop.run_in_executor(threads, encoder.flush)).data
    finally:
        threads.submit(encoder.close)
        threads.shutdown(wait=False)
