"""Lexicons: how an account's words are spoken. Those of the configuration can be read here too."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from policies import lexicon
from policies.lexicon import MOST_LEXICONS, MOST_SPOKEN_CHARACTERS, MOST_WORD_CHARACTERS, MOST_WORDS, Words
from proxy.api.admin_tools import ACCOUNT_QUERY, AdminTools, account_endpoint, check_open
from proxy.catalogue.erasing import Purges
from proxy.catalogue.library import Library
from proxy.config.fields import missing_parameter
from proxy.config.reader import names_hint
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from proxy.features.lexicons import records
from proxy.features.lexicons.records import LexiconSummary
from proxy.http.body import AccountName, read_body
from proxy.http.lists import iso_time
from proxy.http.replies import reply, struct_from
from proxy.http.resource import Resource, account_of, endpoint, second_path
from proxy.speech import speech_request
from proxy.speech.speech_body import WORD, SpokenForm
from proxy.storage.audit import Act
from proxy.storage.store import Store
from speech_engine.redacted import Redacted


class LexiconStore:
    """The lexicons of all accounts, for one revision of the configuration."""

    def __init__(self, store: Store, library: Library, purges: Purges) -> None:
        self.store = store
        self._library = library
        self._purges = purges

    async def put(self, account: str, name: str, words: Words, act: Act | None = None) -> LexiconSummary:
        """Save or replace a lexicon. Raises InvalidRequest, or NotAllowed at the limit."""
        if (wrong := lexicon.name_fault(name)) is not None:
            raise InvalidRequest(f"Invalid value for 'name': it must be {wrong}.", param="name")
        usual = lexicon.usual_name(name)
        record = await records.put_lexicon(self.store, account, usual, words, most=MOST_LEXICONS, act=act)
        if record is None:
            raise NotAllowed(
                f"An account has {MOST_LEXICONS} lexicons at most; delete one, or add the words to another.",
                param="name",
                code="too_many_lexicons",
            )
        await self._forget_old_words(account)
        return record

    async def delete(self, account: str, name: str, act: Act | None = None) -> str:
        """Delete a lexicon and return its usual name. Raises NotFound."""
        usual = lexicon.usual_name(name)
        if lexicon.name_fault(usual) is not None or not await records.delete_lexicon(
            self.store, account, usual, act
        ):
            raise unknown_lexicon(
                name, [known for known, *_ in await records.list_revisions(self.store, account)]
            )
        await self._forget_old_words(account)
        return usual

    async def _forget_old_words(self, account: str) -> None:
        self._library.forget(account)
        await self._purges.purge_lexicon(account)


def unknown_lexicon(name: str, known: Iterable[str]) -> NotFound:
    message = f"The account has no lexicon '{name[:80]}'. {names_hint(name, known, 'lexicons')}"
    return NotFound(message, param="lexicon", code="lexicon_not_found")


MAX_BODY_BYTES = 2 * 1024 * 1024
"""Enough for a thousand words, even if each character is written as an escape."""

WordsField = Annotated[
    dict[str, SpokenForm],
    Meta(
        description=f"an object of up to {MOST_WORDS} words of up to {MOST_WORD_CHARACTERS} characters, "
        f"each with what is said for it, up to {MOST_SPOKEN_CHARACTERS}",
        extra_json_schema={"maxProperties": MOST_WORDS, **WORD},
    ),
]


class LexiconBody(Redacted, msgspec.Struct, frozen=True):
    """The new words of a lexicon. They replace all of its words."""

    words: WordsField


class NewLexicon(Redacted, msgspec.Struct, frozen=True):
    """The new words of an account's lexicon. They replace all of its words."""

    account: AccountName
    words: WordsField


class LexiconEntry(msgspec.Struct, frozen=True, kw_only=True):
    """`owner` is `account`, or `server` for the operator's, which have no revision and are not changed here.
    `size` counts the words."""

    object: Literal["lexicon"] = "lexicon"
    name: str
    owner: Literal["account", "server"]
    size: int
    revision: int | None
    changed_at: str | None


class WholeLexicon(Redacted, LexiconEntry, frozen=True, kw_only=True):
    """A lexicon with its words."""

    words: dict[str, str]


class LexiconList(msgspec.Struct, frozen=True, kw_only=True):
    """The account's by name, then the operator's."""

    object: Literal["list"] = "list"
    data: list[LexiconEntry]
    has_more: bool = False


class DeletedLexicon(msgspec.Struct, frozen=True, kw_only=True):
    """It is gone."""

    object: Literal["lexicon.deleted"] = "lexicon.deleted"
    name: str
    deleted: bool = True


class LexiconEndpoints(Resource):
    """The lexicons of accounts. The operator reads and changes those of any account."""

    def __init__(self, admin_tools: AdminTools, lexicons: LexiconStore, shared: Mapping[str, Words]) -> None:
        self._admin_tools = admin_tools
        self._lexicons = lexicons
        self._store = lexicons.store
        self._shared = shared

    @account_endpoint(
        "GET",
        "/lexicons",
        LexiconList,
        summary="The operator's lexicons, after those of the account that is named",
        pace="list",
    )
    async def list_lexicons(self, request: Request) -> Response:
        """The account's lexicons, then the operator's, without their words"""
        account = await self._admin_tools.owner_of_request(request)
        own = [] if account is None else await records.list_of_account(self._store, account)
        shared = [_server_entry(name, words) for name, words in self._shared.items()]
        return reply(LexiconList(data=[*map(_account_entry, own), *shared]))

    @account_endpoint("GET", "/lexicons/{name}", WholeLexicon, failures=(NotFound,))
    async def get_lexicon(self, request: Request) -> Response:
        """One lexicon with its words"""
        account, name = await self._admin_tools.owner_of_request(request), request.path_params["name"]
        return reply(await self._read_lexicon(account, name))

    @endpoint(
        "PUT",
        "/v1/lexicons/{name}",
        LexiconEntry,
        body=LexiconBody,
        failures=(NotAllowed,),
        also=second_path(
            "/admin/lexicons/{name}",
            "put_lexicon_of",
            summary="Replace the words of an account's lexicon, or make a new one",
            body=NewLexicon,
            failures=(NotAllowed, NotFound, Conflict),
        ),
    )
    async def put_lexicon(self, request: Request) -> Response:
        """Replace the words of the account's lexicon, or make a new one"""
        name, account = request.path_params["name"], account_of(request)
        if account is not None:
            new: LexiconBody | NewLexicon = await read_body(request, LexiconBody, MAX_BODY_BYTES)
        else:
            new = await read_body(request, NewLexicon, MAX_BODY_BYTES)
            owner = await self._admin_tools.find_account(new.account)
            check_open(owner)
            name, account = lexicon.usual_name(name), owner.id
        words = await _read_words(new.words)
        act = await self._admin_tools.act_if_admin(
            request, "lexicon.set", name[:64], account, words=len(words)
        )
        return reply(_account_entry(await self._lexicons.put(account, name, words, act)))

    @endpoint(
        "DELETE",
        "/v1/lexicons/{name}",
        DeletedLexicon,
        failures=(NotFound,),
        also=second_path(
            "/admin/lexicons/{name}",
            "delete_lexicon_of",
            summary="Delete an account's lexicon",
            queries=(ACCOUNT_QUERY,),
            failures=(InvalidRequest, NotFound),
        ),
    )
    async def delete_lexicon(self, request: Request) -> Response:
        """Delete a lexicon of the account's own"""
        account, name = await self._admin_tools.owner_of_request(request), request.path_params["name"]
        if account is None:
            raise missing_parameter("account")
        if account_of(request) is None:
            name = lexicon.usual_name(name)
        act = await self._admin_tools.act_if_admin(request, "lexicon.deleted", name[:64], account)
        return reply(DeletedLexicon(name=await self._lexicons.delete(account, name, act)))

    async def _read_lexicon(self, account: str | None, name: str) -> WholeLexicon:
        """Return the account's lexicon of this name, else the operator's. Raises NotFound."""
        usual = lexicon.usual_name(name)
        if account is not None and lexicon.name_fault(usual) is None:
            own = await records.get_lexicon(self._store, account, usual)
            if own is not None:
                return _whole(_account_entry(own), own.words)
        if usual not in self._shared:
            revisions = [] if account is None else await records.list_revisions(self._store, account)
            raise unknown_lexicon(name, [*(known for known, *_ in revisions), *self._shared])
        return _whole(_server_entry(usual, self._shared[usual]), self._shared[usual])


async def _read_words(fields: dict[str, str]) -> Words:
    """Check the words of a lexicon, in a thread: there may be many. Raises InvalidRequest."""
    return await asyncio.to_thread(speech_request.checked_words, fields, "words", MOST_WORDS)


def _account_entry(record: LexiconSummary) -> LexiconEntry:
    return struct_from(LexiconEntry, record, owner="account", changed_at=iso_time(record.changed))


def _server_entry(name: str, words: Words) -> LexiconEntry:
    return LexiconEntry(name=name, owner="server", size=len(words), revision=None, changed_at=None)


def _whole(entry: LexiconEntry, words: Words) -> WholeLexicon:
    return WholeLexicon(**msgspec.structs.asdict(entry), words=dict(words))
