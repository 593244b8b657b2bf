"""Jobs of a long text, whose steps are its pieces."""

from __future__ import annotations

import asyncio
from functools import partial

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import JobKind, PlannedStep
from proxy.features.jobs.core.records import Job, JobStep
from proxy.features.jobs.kinds.speech.request import SentFields, step_body, step_text
from proxy.kept.vault import Vault
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import Defaults, parse_speech


class TextJobs(JobKind):
    voice_gone = "The voice of this job is not here any more."

    def __init__(self, vault: Vault, files: JobFiles) -> None:
        self._vault = vault
        self._files = files

    async def plan(
        self, job: Job, held: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        fields = self._vault.open_record(job.account, job.id, job.record, SentFields)
        text = await self._files.text(job.account, job.digest)
        # Who speaks, and how, begins anew with each chapter.
        begin = fields.begin_of(held.number)
        chapter, first, last = text[begin:], held.first - begin, held.last - begin
        for has_emotion in (True, False):
            # A thread, as it looks through the whole text.
            piece = await asyncio.to_thread(
                partial(step_text, chapter, fields.cast, first, last, has_emotion=has_emotion)
            )
            body = step_body(fields, piece.text)
            request = parse_speech(body, Defaults(), speaking.plans.client_fields)
            call = await speaking.call(held.request, caller, request, terms)
            # Where no voice expresses the emotion, its tag is a part of the text, and is not said anew.
            if call.plan.parts[0].start >= piece.tags - 1:
                break
        return PlannedStep(call, piece.tags)
