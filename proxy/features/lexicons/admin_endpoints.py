"""/admin/lexicons: the lexicons of any account. The operator's own can only be read."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies import lexicon
from policies.lexicon import Words
from proxy.api_admin.admin_tools import ACCOUNT_QUERY, AdminTools, check_open
from proxy.errors import Conflict, InvalidRequest, NotAllowed, NotFound
from proxy.features.lexicons.endpoints import (
    MAX_BODY_BYTES,
    DeletedLexicon,
    LexiconEntry,
    LexiconList,
    WholeLexicon,
    WordsField,
    lexicon_entry,
    list_lexicons,
    read_lexicon,
    read_words,
)
from proxy.features.lexicons.keeper import LexiconKeeper
from proxy.http.body import BODY_FAILURES, AccountName, body
from proxy.http.endpoint import Endpoint, json
from proxy.http.replies import reply


class NewLexicon(msgspec.Struct, frozen=True):
    """The new words of an account's lexicon. They replace all of its words."""

    account: AccountName
    words: WordsField

    def __repr__(self) -> str:
        return f"<NewLexicon {len(self.words)} words>"


class AdminLexicons:
    def __init__(self, admin_tools: AdminTools, keeper: LexiconKeeper, shared: Mapping[str, Words]) -> None:
        self._admin_tools = admin_tools
        self._keeper = keeper
        self._shared = shared

    async def list_(self, request: Request) -> Response:
        account = await self._admin_tools.query_account(request)
        return reply(await list_lexicons(self._admin_tools.store, account, self._shared))

    async def show(self, request: Request) -> Response:
        account = await self._admin_tools.query_account(request)
        name = request.path_params["name"]
        return reply(await read_lexicon(self._admin_tools.store, account, name, self._shared))

    async def put(self, request: Request) -> Response:
        new = await body(request, NewLexicon, MAX_BODY_BYTES)
        account = await self._admin_tools.account(new.account)
        check_open(account)
        words = await read_words(new.words)
        name = lexicon.usual_name(request.path_params["name"])
        act = await self._admin_tools.audit_row(
            request, "lexicon.set", name[:64], account.id, words=len(words)
        )
        return reply(lexicon_entry(await self._keeper.put(account.id, name, words, act)))

    async def delete(self, request: Request) -> Response:
        account = await self._admin_tools.query_account(request)
        if account is None:
            raise InvalidRequest(
                "Missing required parameter: 'account'.", param="account", code="missing_required_parameter"
            )
        name = lexicon.usual_name(request.path_params["name"])
        act = await self._admin_tools.audit_row(request, "lexicon.deleted", name[:64], account)
        return reply(DeletedLexicon(name=await self._keeper.delete(account, name, act)))


def routes(admin_tools: AdminTools, keeper: LexiconKeeper, shared: Mapping[str, Words]) -> list[Endpoint]:
    lexicons = AdminLexicons(admin_tools, keeper, shared)
    return [
        Endpoint(
            "GET",
            "/admin/lexicons",
            lexicons.list_,
            "list_lexicons_of",
            "The operator's lexicons, after those of the account that is named",
            json(LexiconList),
            queries=(ACCOUNT_QUERY,),
            failures=(NotFound,),
        ),
        Endpoint(
            "GET",
            "/admin/lexicons/{name}",
            lexicons.show,
            "get_lexicon_of",
            "One lexicon with its words",
            json(WholeLexicon),
            queries=(ACCOUNT_QUERY,),
            failures=(NotFound,),
        ),
        Endpoint(
            "PUT",
            "/admin/lexicons/{name}",
            lexicons.put,
            "put_lexicon_of",
            "Replace the words of an account's lexicon, or make a new one",
            json(LexiconEntry),
            body=NewLexicon,
            failures=(*BODY_FAILURES, NotAllowed, NotFound, Conflict),
        ),
        Endpoint(
            "DELETE",
            "/admin/lexicons/{name}",
            lexicons.delete,
            "delete_lexicon_of",
            "Delete an account's lexicon",
            json(DeletedLexicon),
            queries=(ACCOUNT_QUERY,),
            failures=(InvalidRequest, NotFound),
        ),
    ]
