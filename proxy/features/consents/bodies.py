"""The requests that store a consent, as JSON or as a form with a recording, and the answers."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta
from starlette.requests import Request

from policies.tasks import SECOND_US
from proxy.config.fields import missing_parameter
from proxy.features.consents import rules
from proxy.features.consents.consent_store import NewConsent, ReadableConsent
from proxy.features.consents.records import DEFAULT_USES, Use, Words
from proxy.http.body import AccountName, EngineNames, LanguageTag, Name, read_body
from proxy.http.form import MOST_FILE_BYTES, form_values, read_form
from proxy.http.lists import Listing
from proxy.http.replies import struct_from
from proxy.speech import speech_request

Statement = Annotated[str, Meta(min_length=1, max_length=2000, description="a text of 1 to 2000 characters")]


Uses = Annotated[
    tuple[Use, ...],
    Meta(min_length=1, max_length=3, description="a list of speech, conversion and training"),
]


class ConsentBody(msgspec.Struct, frozen=True, kw_only=True):
    """A consent to be kept. It has a recording of the phrase, in a form, or a `statement`: who agreed to
    what, and where the operator can see it. Without `providers`, every engine may receive the voice. It
    may be used for `uses` alone."""

    name: Name
    language: LanguageTag
    statement: Statement | None = None
    providers: EngineNames | None = None
    uses: Uses = DEFAULT_USES

    def __repr__(self) -> str:
        return "<ConsentBody>"


class AccountConsentBody(ConsentBody, frozen=True, kw_only=True):
    """A consent to be kept for an account."""

    account: AccountName


class ConsentName(msgspec.Struct, frozen=True, kw_only=True):
    """The new name of a consent."""

    name: Name


class ConsentEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A consent. It was brought by the key `made_by`. `words` tells what its recording says of the phrase,
    once it was heard: `words_checked`. An operator may have accepted it, at `accepted_at`."""

    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    id: str
    name: str
    language: str
    created_at: int
    kind: Literal["recording", "statement"]
    statement: str | None
    digest: str | None
    duration_seconds: float | None
    providers: list[str] | None
    uses: list[Use]
    made_by: str
    words: Words
    words_checked: bool
    accepted_at: int | None


class ConsentList(msgspec.Struct, frozen=True, kw_only=True):
    """Consents, the newest first. The next page has `last_id` as its `after`."""

    object: Literal["list"] = "list"
    data: list[ConsentEntry]
    first_id: str | None
    last_id: str | None
    has_more: bool


class AccountConsent(ConsentEntry, frozen=True, kw_only=True):
    """A consent, and whose it is."""

    account: str


class AccountConsentList(Listing, frozen=True, kw_only=True):
    """Consents, the newest first."""

    data: list[AccountConsent]


class DeletedConsent(msgspec.Struct, frozen=True, kw_only=True):
    """It is gone."""

    object: Literal["audio.voice_consent"] = "audio.voice_consent"
    id: str
    deleted: bool = True


class ConsentPhrase(msgspec.Struct, frozen=True, kw_only=True):
    """The phrase that a speaker reads out. It names the operator of this server. `languages` are all those
    that have a phrase."""

    object: Literal["audio.voice_consent.phrase"] = "audio.voice_consent.phrase"
    language: str
    phrase: str
    languages: tuple[str, ...] = rules.LANGUAGES


_Body = TypeVar("_Body", bound=ConsentBody)


async def read_consent(request: Request, type_: type[_Body]) -> tuple[_Body, bytes | None]:
    """Read a consent from JSON, or from a form with its recording. Raises InvalidRequest."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/"):
        recording = None
        new = await read_body(request, type_)
    else:
        form = await read_form(request, files={"recording": MOST_FILE_BYTES}, fields=type_.__struct_fields__)
        new = speech_request.read(type_, form_values(form, lists=("providers", "uses")))
        recording = form.files["recording"].data if "recording" in form.files else None
    if recording is None and new.statement is None:
        raise missing_parameter("recording", ". Send a recording of the phrase, or a statement.")
    return new, recording


def new_consent(new: ConsentBody, recording: bytes | None, made_by: str) -> NewConsent:
    return NewConsent(
        name=new.name,
        language=new.language,
        recording=recording,
        statement=new.statement or "",
        providers=new.providers,
        uses=tuple(dict.fromkeys(new.uses)),
        made_by=made_by,
    )


def consent_entry(consent: ReadableConsent) -> ConsentEntry:
    record = consent.record
    return struct_from(
        ConsentEntry,
        record,
        name=consent.texts.name,
        created_at=record.created // SECOND_US,
        statement=consent.texts.statement or None,
        duration_seconds=record.seconds,
        providers=None if record.providers is None else list(record.providers),
        uses=list(record.uses),
        words_checked=record.words != "unchecked",
        accepted_at=None if record.accepted is None else record.accepted // SECOND_US,
    )


def account_consent(consent: ReadableConsent) -> AccountConsent:
    plain = msgspec.structs.asdict(consent_entry(consent))
    return AccountConsent(**plain, account=consent.record.account)
