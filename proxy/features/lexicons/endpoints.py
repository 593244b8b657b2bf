"""/v1/lexicons: how an account's words are spoken. The operator's lexicons can be read here too."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from policies import lexicon
from policies.lexicon import MOST_SPOKEN, MOST_WORD, MOST_WORDS, Words
from proxy.access.callers import caller_of
from proxy.errors import NotAllowed, NotFound
from proxy.features.lexicons import records
from proxy.features.lexicons.keeper import LexiconKeeper, no_lexicon
from proxy.features.lexicons.records import LexiconStanding
from proxy.http.body import BODY_FAILURES, body
from proxy.http.endpoint import Endpoint, json
from proxy.http.lists import iso
from proxy.http.replies import reply
from proxy.speech import speech_request
from proxy.storage.store import Store

MAX_BODY_BYTES = 2 * 1024 * 1024
"""Enough for a thousand words, even if each character is written as an escape."""

WordsField = Annotated[
    dict[str, str],
    Meta(
        description=f"an object of up to {MOST_WORDS} words of up to {MOST_WORD} characters, each with what "
        f"is said for it, up to {MOST_SPOKEN}"
    ),
]


class LexiconBody(msgspec.Struct, frozen=True):
    """The new words of a lexicon. They replace all of its words."""

    words: WordsField

    def __repr__(self) -> str:
        return f"<LexiconBody {len(self.words)} words>"


class LexiconEntry(msgspec.Struct, frozen=True, kw_only=True):
    """`owner` is `account`, or `server` for the operator's, which have no revision and are not changed here.
    `size` counts the words."""

    object: Literal["lexicon"] = "lexicon"
    name: str
    owner: Literal["account", "server"]
    size: int
    revision: int | None
    changed_at: str | None


class WholeLexicon(LexiconEntry, frozen=True, kw_only=True):
    """A lexicon with its words."""

    words: dict[str, str]

    def __repr__(self) -> str:
        return f"<WholeLexicon {self.name}, {self.size} words>"


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


class LexiconEndpoints:
    def __init__(self, keeper: LexiconKeeper, shared: Mapping[str, Words]) -> None:
        self._keeper = keeper
        self._shared = shared

    async def list_(self, request: Request) -> Response:
        return reply(await list_lexicons(self._keeper.store, caller_of(request.scope).account, self._shared))

    async def show(self, request: Request) -> Response:
        name = request.path_params["name"]
        return reply(
            await read_lexicon(self._keeper.store, caller_of(request.scope).account, name, self._shared)
        )

    async def put(self, request: Request) -> Response:
        new = await body(request, LexiconBody, MAX_BODY_BYTES)
        words = await read_words(new.words)
        record = await self._keeper.put(caller_of(request.scope).account, request.path_params["name"], words)
        return reply(lexicon_entry(record))

    async def delete(self, request: Request) -> Response:
        name = request.path_params["name"]
        return reply(DeletedLexicon(name=await self._keeper.delete(caller_of(request.scope).account, name)))


async def read_words(sent: dict[str, str]) -> Words:
    """Check the words of a lexicon, in a thread: there may be many. Raises InvalidRequest."""
    return await asyncio.to_thread(speech_request.words, sent, "words", MOST_WORDS)


def routes(keeper: LexiconKeeper, shared: Mapping[str, Words]) -> list[Endpoint]:
    endpoints = LexiconEndpoints(keeper, shared)
    return [
        Endpoint(
            "GET",
            "/v1/lexicons",
            endpoints.list_,
            "list_lexicons",
            "The account's lexicons, then the operator's, without their words",
            json(LexiconList),
            pace="list",
        ),
        Endpoint(
            "GET",
            "/v1/lexicons/{name}",
            endpoints.show,
            "get_lexicon",
            "One lexicon with its words",
            json(WholeLexicon),
            failures=(NotFound,),
        ),
        Endpoint(
            "PUT",
            "/v1/lexicons/{name}",
            endpoints.put,
            "put_lexicon",
            "Replace the words of the account's lexicon, or make a new one",
            json(LexiconEntry),
            body=LexiconBody,
            failures=(*BODY_FAILURES, NotAllowed),
        ),
        Endpoint(
            "DELETE",
            "/v1/lexicons/{name}",
            endpoints.delete,
            "delete_lexicon",
            "Delete a lexicon of the account's own",
            json(DeletedLexicon),
            failures=(NotFound,),
        ),
    ]


async def list_lexicons(store: Store, account: str | None, shared: Mapping[str, Words]) -> LexiconList:
    own = [] if account is None else await records.of_account(store, account)
    return LexiconList(
        data=[*map(lexicon_entry, own), *(_shared(name, words) for name, words in shared.items())]
    )


async def read_lexicon(
    store: Store, account: str | None, name: str, shared: Mapping[str, Words]
) -> WholeLexicon:
    """Return the account's lexicon of this name, else the operator's. Raises NotFound."""
    usual = lexicon.usual_name(name)
    if account is not None and lexicon.name_fault(usual) is None:
        own = await records.get(store, account, usual)
        if own is not None:
            return _whole(lexicon_entry(own), own.words)
    if usual not in shared:
        own_names = [] if account is None else [each for each, *_ in await records.revisions(store, account)]
        raise no_lexicon(name, [*own_names, *shared])
    return _whole(_shared(usual, shared[usual]), shared[usual])


def lexicon_entry(record: LexiconStanding) -> LexiconEntry:
    return LexiconEntry(
        name=record.name,
        owner="account",
        size=record.size,
        revision=record.revision,
        changed_at=iso(record.changed),
    )


def _shared(name: str, words: Words) -> LexiconEntry:
    return LexiconEntry(name=name, owner="server", size=len(words), revision=None, changed_at=None)


def _whole(entry: LexiconEntry, words: Words) -> WholeLexicon:
    return WholeLexicon(**msgspec.structs.asdict(entry), words=dict(words))
