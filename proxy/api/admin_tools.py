"""The tools of every handler of /admin, and the audit row of each change that an operator makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, Unpack

from starlette.requests import Request

from proxy.access.admission import UsageThrottle
from proxy.access.callers import Callers, caller_or_none
from proxy.catalogue.erasing import Erasing, Purges
from proxy.catalogue.people import Income, People
from proxy.config.reader import names_hint
from proxy.config.sections import Config
from proxy.errors import Conflict, NotFound
from proxy.http.body import is_printable
from proxy.http.endpoint import Query, Struct
from proxy.http.resource import Details, Method, account_of, endpoint, second_path
from proxy.ledger import Ledger
from proxy.storage import accounts, audit
from proxy.storage.accounts import Account
from proxy.storage.audit import Act
from proxy.storage.rows import NEWEST
from proxy.storage.store import Store
from speech_engine import Names

ACCOUNT_QUERY = Query("account", "Only this account's, by its id or name.")
CONTROL_ACTOR = "control"
"""The actor of a request without a key: it came over control.sock, which only the server's owner can open."""

_MOST_NAMED = 200


class AdminTools(NamedTuple):
    """The tools of the handlers. Each revision of the configuration has its own.

    `known_names` returns what the configured engines know of OpenAI's names. It may take a while.
    """

    store: Store
    ledger: Ledger
    callers: Callers
    config: Config
    usage_throttle: UsageThrottle
    purges: Purges
    erasing: Erasing
    known_names: Callable[[], Mapping[str, Names]]
    people: People = People()
    income: Income = Income()
    features: tuple[str, ...] = ()

    async def find_account(self, id_or_name: str) -> Account:
        """Return the account with this id or name, or that of the user with this address. Raises NotFound."""
        account = await accounts.get(self.store, id_or_name) if is_printable(id_or_name) else None
        if account is None and "@" in id_or_name and (id_ := await self.people.account_of(id_or_name)):
            account = await accounts.get(self.store, id_)
        if account is None:
            newest = await accounts.list_page(self.store, NEWEST, _MOST_NAMED)
            names = [each.name for each in newest if each.closed is None]
            raise NotFound(
                f"There is no account '{id_or_name[:80]}'. {names_hint(id_or_name, names, 'accounts')}",
                param="account",
            )
        return account

    async def close_account(self, account: Account, act: Act) -> Account:
        """Close an account. When this returns, its keys no longer work. What it owned is
        erased then, or soon after it in the background."""
        closed_account = await accounts.close(self.store, account.id, act)
        self.callers.forget(account.id)
        await self.purges.purge_account(account.id)
        await self.erasing.erase_account(account.id)
        return closed_account or account

    async def query_account(self, request: Request) -> str | None:
        """Return the id of the account that the query names, or None if it names none."""
        id_or_name = request.query_params.get("account")
        return None if id_or_name is None else (await self.find_account(id_or_name)).id

    async def owner_of_request(self, request: Request) -> str | None:
        """Return the caller's account under /v1; under /admin the one that the query names, or None."""
        return account_of(request) or await self.query_account(request)

    async def act_if_admin(
        self, request: Request, action: str, subject: str, account: str | None, **details: object
    ) -> Act | None:
        """Return the audit row of an operator's action. Return None under /v1, where no caller acts as an
        operator."""
        if account_of(request) is not None:
            return None
        return await self.audit_row(request, action, subject, account or "", **details)

    async def audit_row(
        self, request: Request, action: str, subject: str, account: str, **details: object
    ) -> Act:
        now = await self.store.now()
        return audit.new_act(now, actor_of(request), action, subject, account, **details)


def with_account_query(details: Details) -> Details:
    """Return the details of an endpoint under /admin, where the query may name an account."""
    return {
        **details,
        "queries": (ACCOUNT_QUERY, *details.get("queries", ())),
        "failures": tuple(dict.fromkeys((*details.get("failures", ()), NotFound))),
    }


def account_endpoint(
    verb: Literal["GET", "POST", "DELETE"],
    path: str,
    *structs: Struct,
    summary: str = "",
    **details: Unpack[Details],
) -> Callable[[Method], Method]:
    """Declare that a method answers under /v1 for the caller, and under /admin for the `account` that the
    query names.

    `summary` is the one of /admin, where the name of the operation ends with `_of`.
    """

    def declare(method: Method) -> Method:
        name = f"{method.__name__}_of"
        also = second_path(f"/admin{path}", name, summary=summary, **with_account_query(details))
        return endpoint(verb, f"/v1{path}", *structs, also=also, **details)(method)

    return declare


def check_open(account: Account) -> None:
    """Raise Conflict if the account is closed: its plan and its credits stay as they were."""
    if account.closed is not None:
        raise Conflict(
            f"The account '{account.name}' is closed; its books stay as they are.", param="account"
        )


def actor_of(request: Request) -> str:
    caller = caller_or_none(request.scope)
    return CONTROL_ACTOR if caller is None else caller.key
