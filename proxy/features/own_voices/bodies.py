"""Bodies of requests that make or change a voice, as JSON or as a form with a recording, and of the
replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from policies import mixing
from proxy.catalogue.voice_records import Kind, VoiceRecord
from proxy.config.fields import missing_parameter
from proxy.errors import InvalidRequest
from proxy.features.voice_list.voice_entries import MixPart
from proxy.http.body import (
    AccountName,
    EngineNames,
    Label,
    Labels,
    LanguageTag,
    LanguageTagOrEmpty,
    Name,
    ReasonText,
    Tags,
)
from proxy.http.form import RequestForm, form_values
from proxy.http.lists import Listing, iso_time, iso_time_or_none
from proxy.http.replies import struct_from
from proxy.speech.speech_body import CAST_SCHEMA, MixMember, mix_shares
from proxy.storage import trained_models
from proxy.storage.store import Store
from proxy.storage.tombstones import Tombstone

Cast = Annotated[
    dict[str, Annotated[str, Meta(extra_json_schema={"maxLength": 256})]],
    Meta(
        description='an object of names and voices, such as {"Ana": "nova", "Ben": "onyx"}',
        extra_json_schema=CAST_SCHEMA,
    ),
]
RefText = Annotated[str, Meta(max_length=1000, description="a text of up to 1000 characters")]


Mix = Annotated[
    tuple[MixMember, ...],
    Meta(
        min_length=2,
        max_length=mixing.MOST_MIXED,
        description=f'a list of 2 to {mixing.MOST_MIXED} voices, each {{"id": "…", "weight": 1}}',
    ),
]


class DescribedVoice(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that describe a new voice of any kind. The search reads the description and the tags."""

    name: Name
    description: ReasonText = ""
    tags: Tags = ()
    labels: Labels = {}
    language: LanguageTag | None = None
    gender: Label | None = None
    type: Label | None = None


class NewVoice(DescribedVoice, frozen=True, kw_only=True):
    """A cast or a mix to be saved. A cast says who speaks with which voice; a mix sounds like its voices,
    each by its weight. A voice is found by its description and tags."""

    cast: Cast | None = None
    mix: Mix | None = None

    def check(self) -> None:
        """Raise InvalidRequest if it is neither a cast nor a mix, or both."""
        check_type(self.type, ("cast", "mix"))
        if (self.cast is None) == (self.mix is None):
            raise missing_parameter(
                "cast", ". Send a cast, or a mix, or a recording as audio_sample in multipart/form-data."
            )


class VoiceForm(DescribedVoice, frozen=True, kw_only=True):
    """A voice to be made of the recording `audio_sample`, with the speaker's `consent`. `ref_text` has the
    words of the recording: some engines need them. `engines` are those that should clone it at once."""

    consent: Name | None = None
    ref_text: RefText = ""
    engines: EngineNames = ()
    prompt: Annotated[str, Meta(description="not supported")] | None = None
    script_hint: Annotated[str, Meta(description="not supported")] | None = None

    def __repr__(self) -> str:
        return "<VoiceForm>"

    def check(self) -> None:
        """Raise InvalidRequest if it wants another kind of voice than one of a recording."""
        check_type(self.type, ("audio_sample",))
        for name in ("prompt", "script_hint"):
            if getattr(self, name) is not None:
                raise not_designed(name)


_Bindings = Annotated[
    dict[str, Name], Meta(min_length=1, max_length=16, description='an object such as {"elevenlabs": "ID"}')
]


class NewSavedVoice(NewVoice, frozen=True, kw_only=True):
    """A cast or a mix to be saved for one account. Without `account` it is for everybody.

    `bindings` are engines with the id of a voice there: they give it a name, for everybody."""

    account: AccountName | None = None
    bindings: _Bindings | None = None

    def check(self) -> None:
        """Raise InvalidRequest unless it is one of a cast, a mix and bindings."""
        if self.bindings is None:
            super().check()
        elif self.cast is not None or self.mix is not None:
            raise InvalidRequest("Send 'bindings', or a cast, or a mix: one of them.", param="bindings")
        elif self.account is not None:
            raise InvalidRequest(
                "'bindings' name a voice for everybody; leave 'account' out.", param="account"
            )
        else:
            check_type(self.type, ("catalogue",))


class SavedVoiceForm(VoiceForm, frozen=True, kw_only=True):
    """A voice of a recording, to be made for one account. Its plan says whether that needs a consent."""

    account: AccountName


class SavedVoice(msgspec.Struct, frozen=True, kw_only=True):
    """A saved voice. `account` is null if it is everybody's. `cast` has who speaks with which voice,
    `bindings` the ids at engines, and `trained` the formats of its models. The name is empty if no
    master key opens it. `reasons` say what a better recording needs, if one was just taken, or what nobody
    could try."""

    id: str
    account: str | None
    name: str
    type: Kind
    created: str
    cast: dict[str, str]
    mix: list[MixPart]
    tags: tuple[str, ...]
    description: str
    language: str | None
    gender: str | None
    quality: str | None
    consent: str | None
    used: str | None
    bindings: dict[str, str]
    trained: list[str]
    reasons: list[str] | UnsetType = UNSET


class ConfiguredVoice(msgspec.Struct, frozen=True, kw_only=True):
    """A voice of the configuration: its engines, or the members of its cast with their voices.

    `natural` tells of each engine that has been up whether it learned from recordings, or speaks by rules.
    """

    name: str
    language: str | None
    gender: str | None
    engines: list[str]
    natural: dict[str, bool]
    cast: dict[str, str]


class SavedVoiceList(Listing, frozen=True, kw_only=True):
    """Saved voices, the newest first. `configured` has the voices of the configuration."""

    data: list[SavedVoice]
    configured: list[ConfiguredVoice]


class ChangedVoice(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a voice. What is left out stays as it is; a null or empty language or gender is taken
    away."""

    name: Name | UnsetType = UNSET
    description: ReasonText | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    language: LanguageTagOrEmpty | UnsetType | None = UNSET
    gender: Label | UnsetType | None = UNSET
    cast: Cast | UnsetType = UNSET
    mix: Mix | UnsetType = UNSET
    engines: EngineNames | UnsetType = UNSET


class DeletedVoice(msgspec.Struct, frozen=True, kw_only=True):
    """It is gone."""

    object: Literal["audio.voice.deleted"] = "audio.voice.deleted"
    id: str
    deleted: bool = True


class ErasureReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """How far the erasure of a voice or a recording is. It is complete when nothing is `pending`: then no
    part of the server has the recording, or anything that was made of it."""

    object: Literal["audio.voice.erasure"] = "audio.voice.erasure"
    id: str
    began: str
    completed: str | None
    pending: list[str]


def erasure_receipt(receipt: Tombstone) -> ErasureReceipt:
    return ErasureReceipt(
        id=receipt.subject,
        began=iso_time(receipt.began),
        completed=iso_time_or_none(receipt.completed),
        pending=list(receipt.pending),
    )


_ALIASES = {"speaker_description": "description"}
FORM_FIELDS = frozenset([*VoiceForm.__struct_fields__, *_ALIASES])


def read_values(form: RequestForm) -> dict[str, object]:
    """Return the fields of a form as JSON would have them. Raises InvalidRequest."""
    return form_values(form, lists=("tags", "engines"), aliases=_ALIASES)


def check_type(type_: str | None, known: tuple[str, ...]) -> None:
    """Raise InvalidRequest for an unknown type. None is no type, which is right."""
    if type_ is None or type_ in known:
        return
    if type_ == "prompt":
        raise not_designed("type")
    raise InvalidRequest(f"Invalid value for 'type': it must be {' or '.join(known)}.", param="type")


def not_designed(param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Unsupported parameter: '{param}'. No engine here designs voices from a text; send a recording as "
        "audio_sample.",
        param=param,
        code="unsupported_value",
    )


def normalized_weights(mix: tuple[MixMember, ...]) -> dict[str, float]:
    """Return the weights of a mix, which add up to 1. Raises InvalidRequest."""
    return dict(mix_shares(mix, "mix"))


async def read_saved_voice(store: Store, record: VoiceRecord) -> SavedVoice:
    """Return an opened voice as operators see it, with the formats of its trained models."""
    formats = await trained_models.list_formats(store, [record.id])
    return saved_voice_body(record, formats.get(record.id, ()))


def saved_voice_body(record: VoiceRecord, formats: Sequence[str] = ()) -> SavedVoice:
    members = dict(record.members)
    is_bound = record.kind == "catalogue"
    return struct_from(
        SavedVoice,
        record,
        type=record.kind,
        created=iso_time(record.created),
        cast={} if is_bound else members,
        bindings=members if is_bound else {},
        mix=[MixPart(id=id_, weight=weight) for id_, weight in record.mix.items()],
        used=iso_time_or_none(record.used),
        trained=list(formats),
    )
