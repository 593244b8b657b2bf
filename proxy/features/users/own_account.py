"""POST /v1/me and POST /v1/me/close: what people set for themselves, and how they leave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from proxy.access.callers import Caller, caller_of
from proxy.access.sessions import session_of, session_or_none
from proxy.api.admin_tools import AdminTools
from proxy.config.fields import missing_parameter
from proxy.errors import (
    InvalidRequest,
    NotAllowed,
    SessionEnded,
    SessionNeeded,
    UpstreamFailed,
)
from proxy.features.admin.me import Me, MeAnswer
from proxy.features.mail.addresses import MOST_CHARACTERS
from proxy.features.mail.folding import folded_address
from proxy.features.users import records
from proxy.features.voice_list.voices import VoiceTools
from proxy.http.body import Name, read_body
from proxy.http.lists import iso_time
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage import accounts, audit
from proxy.storage.rows import encode_json
from proxy.storage.store import Statement
from speech_engine.redacted import Redacted

_PERSON_FIELDS = ("mails", "language")
"""Fields of a person. An API key is no person, so it cannot set them."""
_SET_PREFERRED = "UPDATE accounts SET preferred_voice = :voice WHERE id = :id AND closed IS NULL"
_SET_FAVOURITES = "UPDATE accounts SET favourite_voices = :voices WHERE id = :id AND closed IS NULL"


def preferred_voice_statement(account: str, voice: str) -> Statement:
    """Return the statement that sets the voice of requests that name none; "" is none. Forget the account's
    callers after its commit."""
    return Statement(_SET_PREFERRED, {"id": account, "voice": voice})


def favourite_voices_statement(account: str, voices: Sequence[str]) -> Statement:
    """Return the statement that sets the favourite voices of an account, by their ids."""
    return Statement(
        _SET_FAVOURITES, {"id": account, "voices": "".join(encode_json(each) for each in voices)}
    )


class MeChange(msgspec.Struct, frozen=True):
    """Fields that are left out stay. `preferred_voice` null removes it. `favourite_voices` replaces the whole
    list. An API key has neither `mails` nor a `language`."""

    preferred_voice: Name | UnsetType | None = UNSET
    favourite_voices: (
        Annotated[list[Name], Meta(max_length=100, description="a list of at most 100 ids of voices")]
        | UnsetType
    ) = UNSET
    mails: Annotated[bool, Meta(description="true or false")] | UnsetType = UNSET
    language: (
        Annotated[Literal["en", "pt-BR", "es"], Meta(description="one of en, pt-BR, es")] | UnsetType
    ) = UNSET


class Closing(Redacted, msgspec.Struct, frozen=True):
    """The address of the person, once more: closing cannot be undone."""

    address: Annotated[
        str,
        Meta(min_length=1, max_length=MOST_CHARACTERS, description="your own address"),
    ]


class ClosedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """All its users, sessions, keys and voices are gone; its orders and payments stay on record."""

    id: str
    closed: str


class SelfService(Resource):
    """The account of the caller, and the person of its session."""

    def __init__(self, admin_tools: AdminTools, voices: VoiceTools) -> None:
        self._admin_tools = admin_tools
        self._store = admin_tools.store
        self._voices = voices
        self._me = Me(admin_tools, voices)

    @endpoint("POST", "/v1/me", MeAnswer, body=MeChange, failures=(NotAllowed, UpstreamFailed))
    async def change_me(self, request: Request) -> Response:
        """Set the preferred and favourite voices; a person who has signed in, also language and mails"""
        change, caller = await read_body(request, MeChange), caller_of(request.scope)
        details: dict[str, Any] = {
            name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET
        }
        if not details:
            raise missing_parameter("preferred_voice", ", 'favourite_voices', 'mails' or 'language'.")
        statements: list[Statement] = []
        if change.preferred_voice is not UNSET:
            voice = await self._voice_id(caller, change.preferred_voice)
            details["preferred_voice"] = voice or None
            statements.append(preferred_voice_statement(caller.account, voice))
        if change.favourite_voices is not UNSET:
            favourites = await self._favourite_ids(caller, change.favourite_voices)
            details["favourite_voices"] = len(favourites)
            statements.append(favourite_voices_statement(caller.account, favourites))
        if details.keys() & set(_PERSON_FIELDS):
            if (session := session_or_none(request.scope)) is None:
                raise SessionNeeded
            statements.append(
                records.change_statement(session.user, details.get("mails"), details.get("language"))
            )
        act = await self._admin_tools.audit_row(
            request, "account.preferred", caller.account, caller.account, **details
        )
        await self._store.write(*statements, *audit.insert_statements(act))
        self._admin_tools.callers.forget(caller.account)
        return await self._me.get_me(request)

    @endpoint(
        "POST",
        "/v1/me/close",
        ClosedAccount,
        access="fresh session",
        body=Closing,
        is_for_suspended=True,
    )
    async def close_me(self, request: Request) -> Response:
        """Close the account for good, with all its users, keys and voices"""
        sent, session = await read_body(request, Closing), session_of(request.scope)
        user = await self._admin_tools.people.user(session.user)
        account = await accounts.get(self._store, session.caller.account)
        if user is None or account is None or account.closed is not None:
            raise SessionEnded(records.ENDED_COOKIE)
        if folded_address(sent.address) != user.address:
            raise InvalidRequest(
                "Invalid value for 'address': it must be your own address, or nothing is closed.",
                param="address",
            )
        act = await self._admin_tools.audit_row(request, "account.closed", account.id, account.id)
        closed = await self._admin_tools.close_account(account, act)
        answer = reply(ClosedAccount(id=closed.id, closed=iso_time(closed.closed or act.at)))
        answer.headers["set-cookie"] = records.ENDED_COOKIE
        return answer

    async def _favourite_ids(self, caller: Caller, names: list[str]) -> list[str]:
        """Return the ids of voices, each once. Ids of the stored list are not checked, so their voices may be
        away."""
        account = await accounts.get(self._store, caller.account)
        known = set() if account is None else {*account.favourite_voices}
        param = "favourite_voices"
        ids = [name if name in known else await self._voice_id(caller, name, param) for name in names]
        return [*dict.fromkeys(ids)]

    async def _voice_id(self, caller: Caller, name: str | None, param: str = "preferred_voice") -> str:
        if name is None:
            return ""
        try:
            return (await self._voices.usable_voice(caller, name)).id
        except (InvalidRequest, UpstreamFailed) as failure:
            failure.param = param
            raise
