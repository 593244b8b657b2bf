"""Jobs of a long recording, whose steps are its stretches: each is a conversion of its own."""

from __future__ import annotations

from policies import price
from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.conversion_form import FILE, check_consent, granted, source_sound
from proxy.audio.formats import SAMPLE_BYTES
from proxy.audio.recordings.intake import invalid_audio
from proxy.audio.recordings.recording import UnusableRecording
from proxy.catalogue.grants import Grants
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import JobKind, PlannedStep
from proxy.features.jobs.core.records import Job, JobStep
from proxy.features.jobs.kinds.conversion.long_decoder import LongDecoder
from proxy.features.jobs.kinds.conversion.long_recordings import StretchOf
from proxy.features.jobs.kinds.conversion.request import ConversionFields, of_form
from proxy.kept.vault import Vault
from proxy.ledger import Ledger, Payer
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import SOURCE_HZ


class RecordingJobs(JobKind):
    """Whoever speaks in the recording must still agree when a step begins, and when it is charged."""

    voice_gone = "The voice of this job is not here any more."

    def __init__(
        self, vault: Vault, files: JobFiles, decoder: LongDecoder, grants: Grants, ledger: Ledger
    ) -> None:
        self._vault = vault
        self._files = files
        self._decoder = decoder
        self._grants = grants
        self._ledger = ledger

    async def plan(
        self, job: Job, held: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        fields = self._vault.open_record(job.account, job.id, job.record, ConversionFields)
        # The plan may waive them no longer.
        check_consent(fields.form, needs_consent=terms.consent == "required")
        grant = await granted(self._grants, job.account, fields.form)
        sent, seconds = of_form(fields.form), (held.last - held.first) / 1000
        request = sent.request(source_sound(b"", seconds, fields.source, grant))
        # What nobody pays for, or nobody converts any more, is not decoded.
        await self._check(await speaking.call(held.request, caller, request, terms), seconds)
        file = await self._files.whole(job.account, job.digest)
        asked = StretchOf(file, held.first, held.last, fields.takes_first)
        try:
            pcm = await self._decoder.stretch(job.account, asked)
        except UnusableRecording as error:
            raise invalid_audio(str(error), FILE) from None
        heard_s = len(pcm) / SAMPLE_BYTES / SOURCE_HZ
        request = sent.request(source_sound(pcm, heard_s, fields.source, grant))
        call = await speaking.call(held.request, caller, request, terms)
        return PlannedStep(call, consent=None if grant is None else grant.id)

    async def _check(self, call: SpeechCall, seconds: float) -> None:
        """Raise QuotaExceeded if the account surely cannot pay for a step."""
        prices, part = call.terms.prices, call.plan.parts[0]
        models = [candidate.model for candidate in part.candidates]
        amount = max(
            price.estimate_charge(
                prices.of_work("conversion", model.engine, model.info.id), estimated_s=seconds, characters=0
            )
            for model in models
        )
        caller = call.caller
        payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=call.terms)
        await self._ledger.check(payer.of_job(), amount)
