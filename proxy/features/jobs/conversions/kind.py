"""Jobs of a long recording, whose steps are its stretches."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.conversion_form import ConversionForm, SentConversion, granted, output_of, source_sound
from proxy.catalogue.grants import Grants
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.kinds import JobKind, PlannedStep
from proxy.features.jobs.records import Job, JobStep
from proxy.features.jobs.request import SentFields
from proxy.features.jobs.results import encoded_records
from proxy.kept.vault import Vault, VaultFailed
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import SOURCE_HZ, SpeechRequest
from proxy.storage.store import Store

SOURCE = -2
"""In place of a chapter, in the rows of a job's files: the stretches of its recording."""


class ConversionJobForm(ConversionForm, frozen=True, kw_only=True):
    """A conversion of a recording of up to an hour as a form, for POST /v1/jobs."""

    kind: Annotated[Literal["conversion"], Meta(description="conversion")]


class RecordingJobs(JobKind):
    voice_gone = "The voice of this job is not here any more."

    def __init__(self, store: Store, vault: Vault, files: JobFiles, grants: Grants) -> None:
        self._store = store
        self._vault = vault
        self._files = files
        self._grants = grants

    def __repr__(self) -> str:
        return "<RecordingJobs>"

    async def plan(
        self, job: Job, held: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        fields = self._vault.open_record(job.account, job.id, job.record, SentFields)
        rows = await encoded_records.list_encoded(self._store, job.id, SOURCE)
        row = next((row for row in rows if row.number == held.number), None)
        if row is None:
            raise VaultFailed(f"the job {job.id} has no stretch {held.number}")
        pcm = await self._files.whole(row.account, row.digest)
        request = await stretch_request(self._grants, job.account, fields, pcm)
        return PlannedStep(await speaking.call(held.request, caller, request, terms))


async def stretch_request(grants: Grants, account: str, fields: SentFields, pcm: bytes) -> SpeechRequest:
    """Return the request that converts a stretch, by the consent of who speaks in it at this moment.

    Raises NotFound and NotAllowed.
    """
    sent = msgspec.json.decode(msgspec.json.encode(fields.sent), type=ConversionForm)
    grant = await granted(grants, account, sent)
    source = source_sound(pcm, len(pcm) / 2 / SOURCE_HZ, fields.source, grant)
    return SentConversion(sent, output_of(sent), b"").request(source)
