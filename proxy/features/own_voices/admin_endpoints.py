"""/admin/voices: the saved voices of accounts, and those that the operator saved for all accounts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools, check_open
from proxy.api.named_voice import find_voice, terms_of
from proxy.api.voice_entries import MixPart, VoiceQuality
from proxy.catalogue.voice_records import Kind, VoiceRecord
from proxy.engines.plugin_instances import who_knows
from proxy.errors import Conflict, DecodingFailed, InvalidRequest, NoPlace, NotFound, UpstreamFailed
from proxy.features.own_voices import records
from proxy.features.own_voices.bodies import (
    FORM_FIELDS,
    DeletedVoice,
    NewVoice,
    VoiceForm,
    check_type,
    read_values,
)
from proxy.features.own_voices.editor import LibraryEditor
from proxy.features.own_voices.export import VoiceExport
from proxy.features.own_voices.maker import Beginning, VoiceMaker
from proxy.features.own_voices.stream_reply import StreamReply
from proxy.http.body import AccountName, Name, body
from proxy.http.form import MOST_FILE_BYTES, read_form
from proxy.http.lists import PAGE, iso, iso_or_none, page
from proxy.http.replies import encode_json, reply, shown_as
from proxy.http.resource import Resource, answers
from proxy.speech import speech_request
from proxy.storage import audit, samples, trained_models
from proxy.storage.accounts import Account
from proxy.storage.rows import new_id
from proxy.storage.store import Store

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
    """A voice of the configuration: its engines, or the members of its cast with their voices."""

    name: str
    language: str | None
    gender: str | None
    engines: list[str]
    cast: dict[str, str]


class SavedVoiceList(msgspec.Struct, frozen=True, kw_only=True):
    """Saved voices, the newest first. `configured` has the voices of the configuration."""

    object: Literal["list"] = "list"
    data: list[SavedVoice]
    configured: list[ConfiguredVoice]
    has_more: bool
    last_id: str | None


class AdminVoices(Resource):
    def __init__(
        self, admin_tools: AdminTools, editor: LibraryEditor, maker: VoiceMaker, export: VoiceExport
    ) -> None:
        self._admin_tools = admin_tools
        self._editor = editor
        self._maker = maker
        self._export = export

    @answers(
        "GET",
        "/admin/voices",
        SavedVoiceList,
        queries=(ACCOUNT_QUERY, *PAGE),
        failures=(InvalidRequest, NotFound),
    )
    async def list_saved_voices(self, request: Request) -> Response:
        """Saved voices, the newest first, and those of the configuration"""
        account = await self._admin_tools.query_account(request)
        store = self._admin_tools.store
        listed = await page(
            request, partial(records.place_of, store, None), partial(records.page, store, account)
        )
        whole = SavedVoiceList(
            data=await self._all_shown(listed.rows),
            configured=self._configured(),
            has_more=listed.has_more,
            last_id=listed.last_id,
        )
        return reply(whole)

    @answers(
        "POST",
        "/admin/voices",
        SavedVoice,
        status=201,
        body=NewSavedVoice,
        form=SavedVoiceForm,
        files=("audio_sample",),
        failures=(NotFound, Conflict, NoPlace, DecodingFailed, UpstreamFailed),
    )
    async def save_voice(self, request: Request) -> Response:
        """Save a cast, a mix or a name for an engine's voice, or make an account's voice of a recording"""
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            return await self._make(request)
        new = await body(request, NewSavedVoice)
        new.check()
        account = None if new.account is None else (await self._open_account(new.account)).id
        # What names a person is in no audit row: the voice may be erased, and the audit stays.
        changes = {"cast": new.cast, "bindings": new.bindings}
        members = {key: value for key, value in changes.items() if value is not None}
        details = {"name": new.name, **members} if members else {}
        act = await self._admin_tools.audit_row(
            request, "voice.created", new_id("voice"), account or "", **details
        )
        if new.bindings is not None:
            record, unsure = await self._maker.bind(new, new.bindings, Beginning(act))
            return reply(msgspec.structs.replace(_shown(record), reasons=unsure), 201)
        return reply(_shown(await self._maker.compose(account, new, Beginning(act))), 201)

    async def _make(self, request: Request) -> Response:
        form = await read_form(
            request, files={"audio_sample": MOST_FILE_BYTES}, fields=FORM_FIELDS | {"account"}
        )
        new = speech_request.read(SavedVoiceForm, read_values(form))
        new.check()
        if "audio_sample" not in form.files:
            raise InvalidRequest("Missing required parameter: 'audio_sample'.", param="audio_sample")
        owner = await self._open_account(new.account)
        act = await self._admin_tools.audit_row(request, "voice.created", new_id("voice"), owner.id)
        audio, terms = form.files["audio_sample"].data, terms_of(self._admin_tools, owner)
        record = await self._maker.make(owner.id, new, audio, terms, Beginning(act))
        kept, *_ = await samples.of_voice(self._admin_tools.store, record.id)
        quality = msgspec.json.decode(kept.quality, type=VoiceQuality)
        return reply(msgspec.structs.replace(_shown(record), reasons=quality.reasons), 201)

    @answers(
        "GET",
        "/admin/voices/{id}/export",
        media=("application/zip",),
        queries=(ACCOUNT_QUERY,),
        failures=(NotFound, NoPlace),
    )
    async def export_saved_voice(self, request: Request) -> Response:
        """A voice's recordings, and what is known of them, as a zip file"""
        record = await find_voice(self._admin_tools, self._editor.library, request)
        # Before anything is sent: each export of a person's recordings is on record.
        act = await self._admin_tools.audit_row(request, "voice.exported", record.id, record.account or "")
        await self._admin_tools.store.write(*audit.insert_statements(act))
        facts = encode_json(await saved_voice(self._admin_tools.store, record))
        return StreamReply(f"{record.id}.zip", await self._export.zip(record, facts))

    @answers("DELETE", "/admin/voices/{id}", DeletedVoice, queries=(ACCOUNT_QUERY,), failures=(NotFound,))
    async def delete_saved_voice(self, request: Request) -> Response:
        """Delete a saved voice by its id, or by its name: the account's, or everybody's"""
        record = await find_voice(self._admin_tools, self._editor.library, request)
        details = {} if record.is_sealed else {"name": record.name}
        act = await self._admin_tools.audit_row(
            request, "voice.deleted", record.id, record.account or "", **details
        )
        await self._maker.delete(record, act)
        return reply(DeletedVoice(id=record.id))

    async def _all_shown(self, rows: Sequence[VoiceRecord]) -> list[SavedVoice]:
        formats = await trained_models.formats_of(self._admin_tools.store, [row.id for row in rows])
        return [_shown(self._editor.open(row), formats.get(row.id, ())) for row in rows]

    async def _open_account(self, id_or_name: str) -> Account:
        owner = await self._admin_tools.account(id_or_name)
        check_open(owner)
        return owner

    def _configured(self) -> list[ConfiguredVoice]:
        names = self._admin_tools.known_names()
        return [
            ConfiguredVoice(
                name=name,
                language=section.language,
                gender=section.gender,
                engines=engines,
                cast=dict(section.cast),
            )
            for name, section in self._admin_tools.config.voices.items()
            if (engines := [*section.bindings] or who_knows(name, names)) or section.cast
        ]


async def saved_voice(store: Store, record: VoiceRecord) -> SavedVoice:
    """Return an opened voice as operators see it."""
    formats = await trained_models.formats_of(store, [record.id])
    return _shown(record, formats.get(record.id, ()))


def _shown(record: VoiceRecord, formats: Sequence[str] = ()) -> SavedVoice:
    members = dict(record.members)
    is_bound = record.kind == "catalogue"
    return shown_as(
        SavedVoice,
        record,
        type=record.kind,
        created=iso(record.created),
        cast={} if is_bound else members,
        bindings=members if is_bound else {},
        mix=[MixPart(id=id_, weight=weight) for id_, weight in record.mix.items()],
        used=iso_or_none(record.used),
        trained=list(formats),
    )
