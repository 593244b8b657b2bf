"""POST /v1/audio/speech as a form with a recording of the voice. Nothing of such a request is stored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from policies.plans import Terms
from policies.routing import Voice
from policies.sample_quality import speech_range_s
from proxy.access.callers import Caller
from proxy.audio.recordings.intake import RecordingIntake
from proxy.config.fields import missing_parameter
from proxy.engines.engine_list import Engines
from proxy.errors import InvalidRequest, NotAllowed
from proxy.features.consents.grants import STATED_CONSENT, Grant, Grants
from proxy.features.own_voices.one_shot import OneShotSamples, RequestRecording
from proxy.http.connection import Connection
from proxy.http.form import MOST_FILE_BYTES, RequestForm, json_or_text, read_form
from proxy.http.replies import encode_json
from proxy.ledger import Ledger, Payer
from proxy.speech import speech_request
from proxy.speech.client_fields import FOREIGN_FIELDS
from proxy.speech.loudness_levels import LoudnessLevels
from proxy.speech.speech_body import SpeechBody
from proxy.speech.speech_request import SpeechRequest
from speech_engine import Sample

AUDIO, TEXT, CONSENT = "reference_audio", "reference_text", "consent"
_JSON_FIELDS = ("speed", "pitch", "seed", "cache", "background", "history", "sample_rate", "bitrate")
_STORING_FIELDS = ("cache", "background", "history")
"""Fields of a speech request that ask the server to store something of it."""
_MOST_TEXT_CHARACTERS = 1000
_TEXT_FIELDS = frozenset((*SpeechBody.__struct_fields__, TEXT, CONSENT))


_OWN_FIELDS = (
    (
        TEXT,
        Annotated[str, Meta(max_length=_MOST_TEXT_CHARACTERS, description="the words of the recording")],
        "",
    ),
    (
        CONSENT,
        Annotated[str, Meta(max_length=256, description='the id of a consent of the speaker, or "true"')],
        "",
    ),
)
ReferenceForm = msgspec.defstruct(
    "ReferenceForm",
    [
        *(
            (field.name, field.type, field.default)
            for field in msgspec.structs.fields(SpeechBody)
            if field.name not in ("voice", *_STORING_FIELDS)
        ),
        *_OWN_FIELDS,
    ],
    namespace={"__doc__": "A speech request as a form. The file `reference_audio` has the voice."},
    frozen=True,
    kw_only=True,
)


class ReferenceRequest(NamedTuple):
    """A form that was read: the recording, its words, and the consent, which is an id, "true" or ""."""

    request: SpeechRequest
    audio: bytes
    text: str
    consent: str

    def __repr__(self) -> str:
        return f"<ReferenceRequest {self.request!r}, {len(self.audio)} bytes>"


class ReferenceSpeech:
    """Speech with voices that requests bring as a recording. Such a voice lives as long as its request."""

    form: type[msgspec.Struct] = ReferenceForm
    files: tuple[str, ...] = (AUDIO,)

    def __init__(
        self,
        intake: RecordingIntake,
        samples: OneShotSamples,
        engines: Engines,
        levels: LoudnessLevels,
        grants: Grants,
        ledger: Ledger,
    ) -> None:
        self._intake = intake
        self._samples = samples
        self._engines = engines
        self._levels = levels
        self._grants = grants
        self._ledger = ledger

    @asynccontextmanager
    async def open_form(
        self,
        connection: Connection,
        caller: Caller,
        terms: Terms,
        defaults: speech_request.Defaults,
        client_fields: frozenset[str],
    ) -> AsyncIterator[tuple[SpeechRequest, Voice]]:
        """See `SpeechForms`. No recording is decoded for an account that cannot pay for speech."""
        if not terms.one_shot:
            raise NotAllowed(
                f"Your plan '{terms.plan}' does not let a request bring a recording. "
                "Send JSON, with content-type: application/json.",
                param=AUDIO,
                code="one_shot_not_allowed",
            )
        if connection.headers(b"idempotency-key"):
            raise InvalidRequest(
                "Nothing of a request with reference_audio is kept, so it cannot have an Idempotency-Key.",
                param="Idempotency-Key",
            )
        payer = Payer(account=caller.account, key=caller.key, anchor=caller.anchor, terms=terms)
        await self._ledger.check_affordable(payer)
        form = await read_form(
            connection, files={AUDIO: MOST_FILE_BYTES}, fields=_TEXT_FIELDS | FOREIGN_FIELDS | client_fields
        )
        reference = _parse_reference(form, defaults, client_fields, needs_consent=terms.consent == "required")
        self._grants.check_stated(reference.consent, terms, CONSENT)
        try:
            async with self._open_voice(caller.account, reference) as voice:
                yield reference.request, voice
        except (InvalidRequest, NotAllowed) as failure:
            _blame_recording(failure)
            raise

    @asynccontextmanager
    async def _open_voice(self, account: str, reference: ReferenceRequest) -> AsyncIterator[Voice]:
        """Yield the voice of a request's recording. Raises InvalidRequest and NotFound."""
        consent = "" if reference.consent == STATED_CONSENT else reference.consent
        grant = await self._grants.find_grant(account, consent, CONSENT) if consent else None
        async with self._intake.accept_upload(account, reference.audio, AUDIO) as accepted:
            recording, seconds = RequestRecording(accepted.master, accepted.quality), accepted.seconds
        start_s, end_s = speech_range_s(recording.quality, seconds)
        async with self._samples.lend(account, recording, self._engines) as digest:
            sample = Sample(digest, reference.text, seconds=seconds, speech_s=end_s - start_s)
            try:
                yield _sample_voice(account, sample, grant)
            finally:
                self._levels.forget_samples([digest])


def _blame_recording(failure: InvalidRequest | NotAllowed) -> None:
    """Name a field of the form in a failure that names the voice."""
    if failure.param == "voice":
        failure.param = TEXT if failure.code == "reference_text_required" else AUDIO


def _sample_voice(account: str, sample: Sample, grant: Grant | None) -> Voice:
    return Voice(
        id=AUDIO,
        name=AUDIO,
        samples=(sample,),
        providers=None if grant is None else grant.providers,
        uses=None if grant is None else grant.uses,
        account=account,
        consent="" if grant is None else grant.digest,
    )


def _parse_reference(
    form: RequestForm,
    defaults: speech_request.Defaults,
    client_fields: frozenset[str],
    *,
    needs_consent: bool,
) -> ReferenceRequest:
    values = {name: _single_value(name, texts) for name, texts in form.fields.items()}
    text = values.pop(TEXT, "").strip()
    consent = values.pop(CONSENT, "").strip()
    if (file := form.files.get(AUDIO)) is None:
        raise missing_parameter(
            AUDIO, ": the recording of the voice, as a file; for other voices, send JSON."
        )
    if values.pop("voice", ""):
        raise InvalidRequest(f"Send 'voice' or '{AUDIO}', not both.", param="voice")
    if needs_consent and not consent:
        raise missing_parameter(
            CONSENT, ": the id of a consent of the speaker, or true if the speaker agrees."
        )
    if len(text) > _MOST_TEXT_CHARACTERS:
        raise InvalidRequest(
            f"Invalid value for '{TEXT}': it must have up to {_MOST_TEXT_CHARACTERS} characters.", param=TEXT
        )
    body: dict[str, Any] = {
        name: _parse_value(name, value, is_foreign=name in client_fields)
        for name, value in values.items()
        if value
    }
    for name in _STORING_FIELDS:
        if body.get(name):
            raise InvalidRequest(
                f"Nothing of a request with reference_audio is kept: '{name}' can only be false.", param=name
            )
    raw = encode_json({**body, "voice": AUDIO, "cache": False})
    request = speech_request.parse_speech(raw, defaults, lambda: client_fields)
    return ReferenceRequest(request, file.data, text, consent)


def _single_value(name: str, texts: list[str]) -> str:
    if len(texts) > 1:
        raise InvalidRequest(f"Invalid value for '{name}': it must come once.", param=name)
    return texts[0]


def _parse_value(name: str, text: str, *, is_foreign: bool) -> object:
    is_json = is_foreign or name in _JSON_FIELDS or (name == "lexicon" and text.startswith("{"))
    return json_or_text(text) if is_json else text
