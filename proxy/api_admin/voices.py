"""/admin/voices: the saved voices of accounts, and those that the operator saved for all accounts."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.voices import DeletedVoice, NewVoice
from proxy.api_admin.admin_tools import ACCOUNT_QUERY, AdminTools, check_open
from proxy.catalogue.library_editor import LibraryEditor
from proxy.config.reader import possible
from proxy.errors import Conflict, InvalidRequest, NotFound
from proxy.http.body import BODY_FAILURES, AccountName, body
from proxy.http.endpoint import Endpoint, json
from proxy.http.lists import PAGE, iso, page
from proxy.http.replies import reply
from proxy.storage import voices
from proxy.storage.rows import new_id
from proxy.storage.voices import Kind, VoiceRecord


class NewSavedVoice(NewVoice, frozen=True, kw_only=True):
    """A cast to be saved for one account. Without `account` it is for everybody."""

    account: AccountName | None = None


class SavedVoice(msgspec.Struct, frozen=True, kw_only=True):
    """A saved voice. `account` is null if it is everybody's. `cast` has who speaks with which voice."""

    id: str
    account: str | None
    name: str
    type: Kind
    created: str
    cast: dict[str, str]
    tags: tuple[str, ...]
    description: str


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


class AdminVoices:
    def __init__(self, admin_tools: AdminTools, library_editor: LibraryEditor) -> None:
        self._admin_tools = admin_tools
        self._library_editor = library_editor

    async def list_(self, request: Request) -> Response:
        account = await self._admin_tools.query_account(request)
        store = self._admin_tools.store
        listed = await page(
            request,
            lambda id_: voices.place_of(store, id_),
            lambda place, limit: voices.page(store, account, place, limit),
        )
        whole = SavedVoiceList(
            data=[_shown(record) for record in listed.rows],
            configured=self._configured(),
            has_more=listed.has_more,
            last_id=listed.last_id,
        )
        return reply(whole)

    async def create(self, request: Request) -> Response:
        new = await body(request, NewSavedVoice)
        account = None
        if new.account is not None:
            owner = await self._admin_tools.account(new.account)
            check_open(owner)
            account = owner.id
        act = await self._admin_tools.audit_row(
            request, "voice.created", new_id("voice"), account or "", name=new.name, cast=new.cast
        )
        return reply(_shown(await self._library_editor.add_cast(account, new.saved, act=act)), 201)

    async def delete(self, request: Request) -> Response:
        id_or_name = request.path_params["id"]
        account = await self._admin_tools.query_account(request)
        record = await self._library_editor.find_voice(account, id_or_name)
        if record is None or account not in (None, record.account):
            raise await self._not_saved(id_or_name, account)
        act = await self._admin_tools.audit_row(
            request, "voice.deleted", record.id, record.account or "", name=record.name
        )
        await self._library_editor.delete_voice(record, act)
        return reply(DeletedVoice(id=record.id))

    async def _not_saved(self, name: str, account: str | None) -> NotFound:
        own = await self._library_editor.library.get(account or "")
        saved = possible(name, [voice.name for voice in own.listed], "saved voices")
        if name in self._admin_tools.config.voices:
            why = f"The voice '{name[:80]}' is in the configuration; only what was saved can be deleted."
        elif account is None:
            why = (
                f"No voice '{name[:80]}' was saved for everybody; "
                f"an account's is named by its id, or with the account. {saved}"
            )
        else:
            why = f"The account has no voice '{name[:80]}'. {saved}"
        return NotFound(why, param="voice", code="voice_not_found")

    def _configured(self) -> list[ConfiguredVoice]:
        return [
            ConfiguredVoice(
                name=name,
                language=section.language,
                gender=section.gender,
                engines=list(section.bindings),
                cast=dict(section.cast),
            )
            for name, section in self._admin_tools.config.voices.items()
        ]


def routes(admin_tools: AdminTools, library_editor: LibraryEditor) -> list[Endpoint]:
    voices_ = AdminVoices(admin_tools, library_editor)
    return [
        Endpoint(
            "GET",
            "/admin/voices",
            voices_.list_,
            "list_saved_voices",
            "Saved voices, the newest first, and those of the configuration",
            json(SavedVoiceList),
            queries=(ACCOUNT_QUERY, *PAGE),
            failures=(InvalidRequest, NotFound),
        ),
        Endpoint(
            "POST",
            "/admin/voices",
            voices_.create,
            "save_voice",
            "Save a cast, for an account or for everybody",
            json(SavedVoice),
            status=201,
            body=NewSavedVoice,
            failures=(*BODY_FAILURES, NotFound, Conflict),
        ),
        Endpoint(
            "DELETE",
            "/admin/voices/{id}",
            voices_.delete,
            "delete_saved_voice",
            "Delete a saved voice by its id, or by its name: the account's, or everybody's",
            json(DeletedVoice),
            queries=(ACCOUNT_QUERY,),
            failures=(NotFound,),
        ),
    ]


def _shown(record: VoiceRecord) -> SavedVoice:
    return SavedVoice(
        id=record.id,
        account=record.account,
        name=record.name,
        type=record.kind,
        created=iso(record.created),
        cast=dict(record.members),
        tags=record.tags,
        description=record.description,
    )
