"""POST /v1/audio/conversions: speaks the words of a recording in another voice, as a stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from typing import Any

from starlette.types import Receive, Scope, Send

from policies.plans import Terms
from proxy import errors
from proxy.access.callers import Caller
from proxy.api.answering import PACE_HEADER, TAG, Answering
from proxy.api.speech import RECORDING_FAILURES
from proxy.api.speech_headers import ANSWER_HEADERS, SOME_ANSWER_HEADERS
from proxy.audio.formats import MEDIA_TYPES
from proxy.audio.recordings.intake import RecordingIntake
from proxy.audio.recordings.recording import MOST_S
from proxy.features.consents.grants import Grant, Grants
from proxy.features.conversions.form import (
    FILE,
    ConversionForm,
    ConversionUpload,
    find_grant,
    read_conversion,
    read_conversion_body,
    source_sound,
)
from proxy.file_store.once import digest_of_fields
from proxy.helpers.limiter import FairLimiter
from proxy.http.connection import Connection
from proxy.http.endpoint import Endpoint
from proxy.http.idempotency import KEY_HEADER
from proxy.ledger import Ledger, Payer
from proxy.speech.speaking import Speaking
from proxy.speech.speech_request import SOURCE_HZ, SourceSound

MOST_BYTES = 512 * 1024 * 1024
"""The memory for all recordings under way in one worker, with their files. It is enough for twenty of five
minutes."""
_MOST_SOUND_BYTES = round(MOST_S * SOURCE_HZ * 2)


class ConversionSources:
    """The recordings of a worker's conversions. `places` limits their memory: each of its places is a
    byte."""

    def __init__(self, intake: RecordingIntake, most_bytes: int = MOST_BYTES) -> None:
        self.places = FairLimiter("conversions", places=most_bytes, of_account=most_bytes, at_once=1)
        self._intake = intake

    @asynccontextmanager
    async def decode_source(
        self, account: str, upload: ConversionUpload, grant: Grant | None
    ) -> AsyncIterator[SourceSound]:
        """Decode the recording of an upload, and yield it. The account's turn to decode has ended then.

        Raises InvalidRequest, DecodingFailed and NoPlace.
        """
        # The size of the sound is unknown until the file is decoded.
        with self.places.reserve_place(account, len(upload.audio) + _MOST_SOUND_BYTES) as place:
            pcm, seconds = await self._intake.decode_sound(account, upload.audio, FILE, SOURCE_HZ)
            place.shrink_to(len(upload.audio) + len(pcm))
            digest = (await asyncio.to_thread(sha256, upload.audio)).hexdigest()
            yield source_sound(pcm, seconds, digest, grant, upload.audio)


PATH = "/v1/audio/conversions"
_TEXT_PARAMS = ("input", "language")
"""Parameters that refusals of engines name. A conversion has a file in place of a text, so the error names
the file."""


class Conversions:
    """The endpoint of conversions. It is an ASGI app, because it must notice a client that leaves, and must
    be able to break off a reply."""

    def __init__(
        self,
        speaking: Speaking,
        answering: Answering,
        sources: ConversionSources,
        grants: Grants,
        ledger: Ledger,
    ) -> None:
        self._grants = grants
        self._speaking = speaking
        self._answering = answering
        self._sources = sources
        self._ledger = ledger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection, state = Connection(scope, receive, send), scope["state"]
        caller: Caller = state["caller"]
        # This comes before the body is read, so that a request with a wrong body counts for the rate limit,
        # too.
        terms, state["rate"] = await self._speaking.admission.admit(caller)
        form = await read_conversion_body(connection)
        upload = read_conversion(form, needs_consent=terms.consent == "required")
        convert = partial(self._convert, state, terms, upload)
        make_digest = partial(digest_of_fields, upload.form, upload.audio)
        await self._answering.answer_once(connection, state, terms, make_digest, convert)

    @property
    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST",
                PATH,
                self,
                "create_conversion",
                "A recording repeated in another voice: audio as it is made",
                dict.fromkeys(MEDIA_TYPES.values(), ()),
                form=ConversionForm,
                files=(FILE,),
                failures=RECORDING_FAILURES,
                request_headers=(KEY_HEADER, PACE_HEADER, TAG),
                headers=ANSWER_HEADERS,
                some_headers=SOME_ANSWER_HEADERS,
                is_direct=True,
                pace="own",
            )
        ]

    async def _convert(
        self, state: dict[str, Any], terms: Terms, upload: ConversionUpload, connection: Connection
    ) -> None:
        caller: Caller = state["caller"]
        grant = await find_grant(self._grants, caller.account, upload.form, terms)
        # These checks need no recording, so they run before the decoding.
        planned = upload.request(source_sound(b"", 0.0, "", grant))
        await self._speaking.prepare_call(state["request_id"], caller, planned, terms)
        payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=terms)
        await self._ledger.check_conversion(payer)
        async with self._sources.decode_source(caller.account, upload, grant) as source:
            try:
                await self._answering.speak(state, upload.request(source), terms, connection)
            except errors.InvalidRequest as failure:
                if failure.code == "unusable_sample" or failure.param in _TEXT_PARAMS:
                    failure.param = FILE
                raise
