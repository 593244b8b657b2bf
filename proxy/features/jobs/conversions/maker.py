"""How a form makes a job: its recording is surveyed, cut into stretches and kept."""

from __future__ import annotations

import asyncio
from functools import partial
from hashlib import sha256

from starlette.requests import Request

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.admin_tools import AdminTools
from proxy.api.conversion_form import FILE, SentConversion, granted, read_conversion, read_sent, source_sound
from proxy.api.speech_forms import BackgroundRequest
from proxy.audio.recordings.intake import invalid_audio
from proxy.audio.recordings.recording import UnusableRecording
from proxy.catalogue.grants import Grants
from proxy.errors import InvalidRequest
from proxy.features.jobs.conversions.long_decoder import LongDecoder
from proxy.features.jobs.conversions.long_recordings import LONGEST_S, LongSurvey
from proxy.features.jobs.conversions.request import (
    FORM_FIELDS,
    ConversionFields,
    ConversionJobForm,
    check_conversion,
    of_form,
    step_form,
)
from proxy.features.jobs.conversions.stretches import MOST_MS, is_silent, stretches
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.making import MadeJob, add_job, check_length, made_once
from proxy.features.jobs.records import Job
from proxy.features.jobs.request import ENCODED, of_step
from proxy.kept.once import digest_of_fields
from proxy.ledger import Payer
from proxy.speech.speaking import Speaking


class ConversionMaker:
    """Makes jobs of long recordings."""

    def __init__(
        self, tools: AdminTools, files: JobFiles, decoder: LongDecoder, grants: Grants, speaking: Speaking
    ) -> None:
        self._store = tools.store
        self._vault = tools.vault
        self._ledger = tools.ledger
        self._files = files
        self._decoder = decoder
        self._grants = grants
        self._speaking = speaking

    async def read(self, request: Request, terms: Terms) -> SentConversion:
        """Read the form of a request. Raises InvalidRequest and NotAllowed."""
        form = await read_sent(request, FORM_FIELDS)
        needs_consent = terms.consent == "required"
        sent = read_conversion(form, needs_consent=needs_consent, as_=ConversionJobForm)
        check_conversion(sent)
        check_length(terms, 0, FILE)
        return sent

    async def make(self, request: BackgroundRequest, sent: SentConversion) -> MadeJob:
        """Make a job of what was read of a request. Raises RequestFailed."""
        add = partial(self._add, request.caller, request.terms, sent)
        digest = await asyncio.to_thread(digest_of_fields, sent.form, sent.audio)
        return await made_once(self._store, self._vault, request._replace(body=sent.audio), add, digest)

    async def _add(self, caller: Caller, terms: Terms, sent: SentConversion, id_: str, digest: bytes) -> None:
        account = caller.account
        source = (await asyncio.to_thread(sha256, sent.audio)).hexdigest()
        grant = await granted(self._grants, account, sent.form)
        form = step_form(sent)
        # What a step would be refused for is said at once, and before anything is decoded.
        request = of_form(form).request(source_sound(b"", 0.0, source, grant))
        await self._speaking.call(id_, caller, request, of_step(terms))
        payer = Payer(account=account, key=caller.key, anchor=caller.anchor, terms=terms)
        await self._ledger.check_conversion(payer.of_job())
        survey = await self._survey(account, sent.audio)
        found = await asyncio.to_thread(stretches, survey.levels, survey.whole_ms, MOST_MS)
        fields = ConversionFields(
            sent={},
            request=digest.hex(),
            kbit_s=sent.output.kbit_s if sent.output.format in ENCODED else None,
            form=form,
            source=source,
            takes_first=survey.takes_first,
        )
        sealed = await self._vault.seal_record(account, id_, fields)
        job = Job(
            id=id_,
            account=account,
            key=caller.key,
            kind="conversion",
            created=await self._store.now(),
            format=sent.output.format,
            characters=0,
            bytes=len(sent.audio) + len(sealed.sealed),
            steps=len(found),
            digest=await self._files.put(account, sent.audio),
            wrapped=sealed.wrapped,
            sealed=sealed.sealed,
        )
        await add_job(self._store, self._files, job, found, has_file=sent.output.format in ENCODED)

    async def _survey(self, account: str, file: bytes) -> LongSurvey:
        try:
            survey = await self._decoder.survey(account, file)
        except UnusableRecording as error:
            raise invalid_audio(str(error), FILE) from None
        if survey.is_cut:
            raise InvalidRequest(
                f"Invalid '{FILE}': it is longer than {LONGEST_S // 3600} hours.",
                param=FILE,
                code="recording_too_long",
            )
        if await asyncio.to_thread(is_silent, survey.levels):
            raise invalid_audio("it is silent, or its level is far too low", FILE)
        return survey
