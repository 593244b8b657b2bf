"""The texts and the sound of jobs in the vault."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.features.jobs.core import records, removals
from proxy.features.jobs.core.records import JobClip
from proxy.file_store.sealed_blobs import SealedBlobs
from proxy.storage.store import Statement


class JobFiles(SealedBlobs):
    """The files of jobs in the vault. An erasure calls `remove_voice`. Every method raises StorageFailed."""

    async def text(self, account: str, digest: str) -> str:
        return (await self.whole(account, digest)).decode()

    async def report_of(self, clip: JobClip) -> bytes:
        """Return the JSON report about a clip's sound. b"": the clip is older than such reports."""
        return await self.whole(clip.account, clip.told) if clip.told else b""

    async def remove_job(self, job: str, account: str, before: Sequence[Statement] = ()) -> None:
        digests = await removals.remove_job_rows(self.store, job, before)
        await self.vault.drop(account, digests)

    async def remove_voice(self, voice: str, *, is_late: bool) -> None:
        """Remove the sound of a voice, and jobs with its recording. `is_late` makes no difference here."""
        del is_late
        for row in await records.list_of_voice(self.store, voice):
            await self.remove_job(row["id"], row["account"])
        await self.drop_all(await removals.remove_voice(self.store, voice))

    async def remove_erased(self, since: int) -> None:
        """Remove the sound of voices that were erased since then, if a step that never ended has left
        some."""
        await self.drop_all(await removals.remove_erased(self.store, since))
