"""Conversions of long recordings: jobs whose steps are stretches of the recording, which are converted one by
one."""

from __future__ import annotations

import asyncio
from functools import partial
from hashlib import sha256
from typing import Annotated, Literal

from msgspec import Meta
from msgspec.structs import replace

from policies import price
from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.speech_forms import BackgroundRequest
from proxy.audio.formats import SAMPLE_BYTES
from proxy.audio.recordings.intake import invalid_audio
from proxy.errors import InvalidRequest
from proxy.feature import RevisionContext
from proxy.features.consents.grants import Grants
from proxy.features.conversions.form import (
    FILE,
    INPUT_TYPE,
    SPEECH_FIELDS,
    ConversionForm,
    ConversionUpload,
    check_consent,
    find_grant,
    output_form,
    read_conversion,
    source_sound,
)
from proxy.features.jobs.core.fields import ENCODED, StepFields, step_format, step_terms
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import JobUpload, PlannedStep, SpokenKind
from proxy.features.jobs.core.making import MadeJob, NewJob, add_job, check_length, make_once
from proxy.features.jobs.core.records import Job, JobStep
from proxy.features.transcriptions import long_recordings
from proxy.features.transcriptions.long_decoder import LongDecoder
from proxy.file_store.once import digest_of_fields
from proxy.http.body import Title
from proxy.http.form import MOST_FILE_BYTES, RECORDING_TOO_LARGE, RequestForm
from proxy.ledger import Ledger, Payer
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import SOURCE_HZ


class ConversionJobForm(ConversionForm, frozen=True, kw_only=True):
    """The form of POST /v1/jobs: that of a conversion. Its `file` may play for two hours."""

    kind: Annotated[Literal["conversion"], Meta(description="conversion or transcription")]
    title: Title = ""

    def __repr__(self) -> str:
        return f"<ConversionJobForm {self.model} {self.voice} as {self.response_format}>"


class ConversionFields(StepFields, frozen=True, kw_only=True):
    """The sealed fields of a conversion. `form` is that of each step, and `source` the SHA-256 of the file.
    If it `takes_first`, only the file's first channel is used."""

    form: ConversionForm
    source: str
    takes_first: bool

    def __repr__(self) -> str:
        return "<ConversionFields>"


def check_options(upload: ConversionUpload) -> None:
    """Raise InvalidRequest for options that no job supports."""
    if upload.form.provenance is not None:
        raise InvalidRequest("'provenance' is not for a job: its sound comes as a file.", param="provenance")


def step_form(upload: ConversionUpload) -> ConversionForm:
    """Return the form of one step. If the format is encoded at the end of the job, the step makes PCM at the
    rate of the job's file."""
    form, format_ = upload.form, upload.output.format
    if format_ in ENCODED:
        form = replace(form, sample_rate=upload.output.sample_rate_hz, bitrate=None)
    return replace(form, response_format=step_format(format_))


def conversion_upload(form: ConversionForm, file: bytes = b"") -> ConversionUpload:
    return ConversionUpload(form, output_form(form), file)


FORM_FIELDS = frozenset((*ConversionJobForm.__struct_fields__, *SPEECH_FIELDS, INPUT_TYPE))


class ConversionKind(SpokenKind):
    """Conversions of long recordings.

    The consent of the recorded speaker is checked when the job is made; when a step begins, it must still be
    there. `PlannedStep.consent` makes the settlement check it again.
    """

    name = "conversion"
    form = ConversionJobForm
    form_fields = FORM_FIELDS
    subtitles_refusal = "A conversion has no subtitles: it has no text."

    def __init__(self, files: JobFiles, decoder: LongDecoder, grants: Grants, ledger: Ledger) -> None:
        super().__init__(files)
        self._decoder = decoder
        self._grants = grants
        self._ledger = ledger

    async def make(
        self, background: BackgroundRequest, revision: RevisionContext, upload: JobUpload | None
    ) -> MadeJob:
        assert upload is not None, "a conversion is made from a form"
        assert revision.speaking is not None, "a worker speaks"
        form, file = upload
        terms = background.terms
        if len(file) > MOST_FILE_BYTES:
            raise InvalidRequest(
                f"Invalid value for '{FILE}': {RECORDING_TOO_LARGE}.", param=FILE, code="file_too_large"
            )
        own = {name: texts for name, texts in form.fields.items() if name in FORM_FIELDS}
        form = RequestForm(own, {FILE: replace(form.files[FILE], data=file)})
        conversion = read_conversion(form, needs_consent=terms.consent == "required", as_=ConversionJobForm)
        check_options(conversion)
        # A recording has no characters. This only refuses a plan without jobs.
        check_length(terms, 0, FILE)
        tag = background.tag(conversion.form.tag)
        digest = await asyncio.to_thread(digest_of_fields, conversion.form, conversion.audio)
        add = partial(self._add, revision.speaking, background, conversion, tag)
        return await make_once(self.files, background, add, digest)

    async def _add(
        self,
        speaking: Speaking,
        background: BackgroundRequest,
        upload: ConversionUpload,
        tag: str,
        id_: str,
        digest: bytes,
    ) -> None:
        assert isinstance(upload.form, ConversionJobForm), "it was read as one"
        caller, terms, account = background.caller, background.terms, background.caller.account
        source = (await asyncio.to_thread(sha256, upload.audio)).hexdigest()
        grant = await find_grant(self._grants, account, upload.form, terms)
        form = step_form(upload)
        # The request of a step is checked before the recording is decoded.
        speech_request = conversion_upload(form).request(source_sound(b"", 0.0, source, grant))
        call = await speaking.prepare_call(id_, caller, speech_request, step_terms(terms))
        payer = Payer(account=account, key=caller.key, anchor=caller.anchor, terms=terms)
        await self._ledger.check_conversion(payer.of_job())
        survey = await self._decoder.survey(payer, upload.audio)
        if await asyncio.to_thread(long_recordings.is_silent, survey.levels):
            raise invalid_audio("it is silent, or its level is far too low", FILE)
        pieces = await asyncio.to_thread(
            long_recordings.cut_stretches, survey.levels, survey.whole_ms, long_recordings.MOST_MS
        )
        # `form` takes the place of the fields `sent`.
        fields = ConversionFields(
            sent={},
            request=digest.hex(),
            title=upload.form.title,
            model=form.model,
            voice=call.plan.voice.id,
            kbit_s=upload.output.kbit_s if upload.output.format in ENCODED else None,
            form=form,
            source=source,
            takes_first=survey.takes_first,
        )
        new = NewJob(id_, self.name, upload.output.format, fields, upload.audio, pieces, tag=tag)
        await add_job(self.files, background, new)

    async def plan(
        self, job: Job, step: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        fields = self.files.vault.open_record(job.account, job.id, job.record, ConversionFields)
        # The plan of the account may have changed, and require a consent now.
        check_consent(fields.form, needs_consent=terms.consent == "required")
        grant = await find_grant(self._grants, job.account, fields.form, terms, is_new=False)
        upload, seconds = conversion_upload(fields.form), (step.last - step.first) / 1000
        speech_request = upload.request(source_sound(b"", seconds, fields.source, grant))
        # This comes before the decoding, which is useless without credits or an engine.
        await self._check_credits(
            await speaking.prepare_call(step.request, caller, speech_request, terms), seconds
        )
        file = await self.files.whole(job.account, job.digest)
        stretch = long_recordings.StretchRequest(file, step.first, step.last, fields.takes_first)
        pcm = await self._decoder.stretch(job.account, stretch, SOURCE_HZ)
        sound_s = len(pcm) / SAMPLE_BYTES / SOURCE_HZ
        speech_request = upload.request(source_sound(pcm, sound_s, fields.source, grant))
        call = await speaking.prepare_call(step.request, caller, speech_request, terms)
        return PlannedStep(call, consent=None if grant is None else grant.id)

    async def _check_credits(self, call: SpeechCall, seconds: float) -> None:
        """Raise QuotaExceeded if the account certainly cannot pay for a step."""
        prices, part = call.terms.prices, call.plan.parts[0]
        models = [candidate.model for candidate in part.candidates]
        # As in the hold, the dearest candidate counts.
        amount = max(
            price.estimate_charge(
                prices.work_price("conversion", model.engine, model.info.id),
                estimated_s=seconds,
                characters=0,
            )
            for model in models
        )
        caller = call.caller
        payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=call.terms)
        await self._ledger.check_affordable(payer.of_job(), amount)
