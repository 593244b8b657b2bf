"""Makes jobs of long recordings: a file is decoded apart, and kept sealed in stretches until its job goes."""

from __future__ import annotations

import asyncio
import zlib
from functools import partial
from hashlib import sha256
from typing import NamedTuple

import msgspec

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.api.background import BackgroundRequest
from proxy.api.conversion_form import (
    FILE,
    SentConversion,
    granted,
    output_of,
    read_conversion,
)
from proxy.audio.recordings.intake import invalid_audio
from proxy.audio.recordings.long_decoder import LongDecoder, LongRecordingRefused
from proxy.audio.recordings.recording import UnusableRecording
from proxy.catalogue.grants import Grants
from proxy.errors import InvalidRequest
from proxy.features.jobs.conversions.kind import SOURCE, stretch_request
from proxy.features.jobs.conversions.stretches import Stretches
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.making import MadeJob, add_job, made_once, no_jobs
from proxy.features.jobs.records import Job
from proxy.features.jobs.request import ENCODED, SentFields, of_step, step_format
from proxy.features.jobs.results import encoded_records
from proxy.features.jobs.results.encoded_records import EncodedBlob
from proxy.http.form import RequestForm
from proxy.kept.once import digest_of_fields
from proxy.kept.vault import Vault
from proxy.ledger import Ledger, Payer
from proxy.speech.speaking import Speaking
from proxy.storage.store import Store

_IS_ADDED = "EXISTS (SELECT 1 FROM jobs WHERE id = :file_job)"


class ConversionMeans(NamedTuple):
    """What conversions are made with, whatever the configuration is."""

    store: Store
    vault: Vault
    files: JobFiles
    ledger: Ledger
    grants: Grants
    decoder: LongDecoder


class ConversionMaker:
    """How accounts ask for conversions of long recordings, in one revision of the configuration."""

    def __init__(self, means: ConversionMeans, speaking: Speaking) -> None:
        self._means = means
        self._speaking = speaking

    def __repr__(self) -> str:
        return f"<ConversionMaker with {self._means.decoder!r}>"

    async def make(self, request: BackgroundRequest, form: RequestForm) -> MadeJob:
        """Make a job of a form. Raises InvalidRequest, NotFound, NotAllowed, QuotaExceeded, RateLimited,
        IdempotencyKeyReused and NoPlace."""
        sent = read_conversion(form, needs_consent=request.terms.consent == "required")
        if sent.form.provenance is not None:
            raise InvalidRequest("'provenance' is not for a job.", param="provenance")
        request = request._replace(body=digest_of_fields(sent.form, sent.audio))
        add = partial(self._add, request.caller, request.terms, sent)
        return await made_once(self._means.store, self._means.vault, request, add)

    async def _add(self, caller: Caller, terms: Terms, sent: SentConversion, id_: str, digest: bytes) -> None:
        if terms.job_characters == 0:
            raise no_jobs(terms)
        account, means = caller.account, self._means
        await granted(means.grants, account, sent.form)
        # To decode for an account that cannot pay would cost the others.
        payer = Payer(account=account, key=caller.key, anchor=caller.anchor, terms=terms)
        price = terms.prices.conversion
        await means.ledger.check(payer, None if price is None else min(1, price.micro))
        fields = _fields(sent, digest)
        rows: list[EncodedBlob] = []
        is_added = False
        try:
            await self._take(account, id_, sent.audio, rows)
            await self._check(id_, caller, terms, fields, rows)
            is_added = await self._keep(caller, sent, id_, fields, rows)
        finally:
            if not is_added:
                await means.files.drop(account, *(row.digest for row in rows))

    async def _take(self, account: str, id_: str, audio: bytes, rows: list[EncodedBlob]) -> None:
        """Decode a file, and put its stretches. Raises InvalidRequest and NoPlace."""
        from proxy.audio.recordings.whole_sound import is_silent

        stretches, is_heard = Stretches(), False
        try:
            async with self._means.decoder.decoded(account, audio) as sound:
                async for pcm in sound:
                    is_heard = is_heard or not await asyncio.to_thread(is_silent, pcm)
                    for stretch in await asyncio.to_thread(stretches.feed, pcm):
                        rows.append(await self._put(account, id_, len(rows) + 1, stretch))
        except UnusableRecording as error:
            raise invalid_audio(str(error), FILE) from None
        except LongRecordingRefused:
            raise InvalidRequest(
                f"Invalid '{FILE}': it is longer than an hour.", param=FILE, code="recording_too_long"
            ) from None
        if not is_heard:
            raise invalid_audio("it is silent, or its level is far too low", FILE)
        if rest := stretches.rest():
            rows.append(await self._put(account, id_, len(rows) + 1, rest))

    async def _put(self, account: str, id_: str, number: int, pcm: bytes) -> EncodedBlob:
        return EncodedBlob(
            job=id_,
            chapter=SOURCE,
            number=number,
            account=account,
            digest=await self._means.files.put(account, pcm),
            bytes=len(pcm),
            crc32=zlib.crc32(pcm),
            voices="",
        )

    async def _check(
        self, id_: str, caller: Caller, terms: Terms, fields: SentFields, rows: list[EncodedBlob]
    ) -> None:
        """Plan the first stretch as its step will be planned. Raises RequestFailed."""
        pcm = await self._means.files.whole(caller.account, rows[0].digest)
        request = await stretch_request(self._means.grants, caller.account, fields, pcm)
        await self._speaking.call(id_, caller, request, of_step(terms))

    async def _keep(
        self, caller: Caller, sent: SentConversion, id_: str, fields: SentFields, rows: list[EncodedBlob]
    ) -> bool:
        account, means = caller.account, self._means
        sealed = await means.vault.seal_record(account, id_, fields)
        format_ = sent.form.response_format.lower()
        job = Job(
            id=id_,
            account=account,
            key=caller.key,
            kind="conversion",
            created=await means.store.now(),
            format=format_,
            characters=0,
            bytes=sum(row.bytes for row in rows) + len(sealed.sealed),
            steps=len(rows),
            digest=await means.files.put(account, b""),
            wrapped=sealed.wrapped,
            sealed=sealed.sealed,
        )
        pieces, at = [], 0
        for row in rows:
            pieces.append((at, at + row.bytes // 2))
            at = pieces[-1][1]
        beside = encoded_records.insertions(rows, _IS_ADDED)
        return await add_job(means.store, means.files, job, pieces, beside, has_file=format_ in ENCODED)


def _fields(sent: SentConversion, digest: bytes) -> SentFields:
    """Return what is sealed of a conversion: the form as each step has it."""
    format_, kbit_s = sent.form.response_format.lower(), None
    form = msgspec.structs.replace(sent.form, response_format=step_format(format_))
    if format_ in ENCODED:
        output = output_of(sent.form)
        kbit_s = output.kbit_s
        form = msgspec.structs.replace(form, sample_rate=output.sample_rate_hz, bitrate=None)
    values = msgspec.json.decode(msgspec.json.encode(form), type=dict[str, msgspec.Raw])
    source = sha256(sent.audio).hexdigest()
    return SentFields(sent=values, request=digest.hex(), kbit_s=kbit_s, source=source)
