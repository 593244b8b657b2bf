"""/admin/accounts: made, listed, shown with all that they have, changed, closed."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from policies.plans import Overrides
from proxy.endpoints import standing as standings
from proxy.endpoints.admin import agreed, keys
from proxy.endpoints.admin.administration import Administration
from proxy.endpoints.admin.agreed import AgreedChange, ShownAgreed
from proxy.endpoints.admin.fields import Name, body
from proxy.endpoints.admin.keys import KeyEntry
from proxy.endpoints.replies import reply
from proxy.endpoints.standing import Balance, ShownCycle
from proxy.errors import Conflict, InvalidRequest
from proxy.sections import Config
from proxy.storage import accounts, key_records
from proxy.storage.accounts import Account
from proxy.storage.audit import Act
from proxy.storage.ids import new_id
from proxy.storage.store import AlreadyExists

RESERVED = ("/grants", "/corrections", "/entries")
"""What stands behind an account in a path: a name that ended so could not be told from it."""

_Agreed = Annotated[
    AgreedChange, Meta(description='an object with what is agreed, such as {"allowance": 1000, "rpm": 60}')
]


class NewAccount(msgspec.Struct, frozen=True):
    """`plan` is `free` where it is not sent, or the first one where the configuration has no `free`."""

    name: Name
    plan: Name | None = None
    agreed: _Agreed | UnsetType = UNSET


class AccountChange(msgspec.Struct, frozen=True):
    """One of the two at least."""

    plan: Name | UnsetType = UNSET
    agreed: _Agreed | UnsetType = UNSET


class AccountEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Times are microseconds UTC; cycles are counted from the anchor."""

    id: str
    name: str
    plan: str
    created: int
    closed: int | None
    anchor: int
    agreed: ShownAgreed


class AccountList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[AccountEntry]


class AccountStanding(AccountEntry, frozen=True, kw_only=True):
    """`cycle` and `balance` are null where the account's plan is not in force: the configuration has it no
    more, or leaves to the account what was never agreed. `streams` counts requests under way."""

    cycle: ShownCycle | None
    balance: Balance | None
    streams: int
    keys: list[KeyEntry]


class Accounts:
    def __init__(self, administration: Administration) -> None:
        self._administration = administration
        self._store = administration.store
        self._config = administration.config

    async def create(self, request: Request) -> Response:
        wanted = await body(request, NewAccount)
        if wanted.name.endswith(RESERVED):
            raise InvalidRequest(
                f"Invalid value for 'name': it must not end in {' or '.join(RESERVED)}.", param="name"
            )
        plan = wanted.plan or _usual(self._config)
        terms = self._agree(Overrides(), wanted.agreed, plan)
        act = await self._act(request, "account.created", new_id("acc"), wanted.name, plan, terms)
        try:
            created = await accounts.create(self._store, name=wanted.name, plan=plan, agreed=terms, act=act)
        except AlreadyExists:
            raise Conflict(
                f"There is an account with the name '{wanted.name}' already.", param="name"
            ) from None
        return reply(shown(created), 201)

    async def list_(self, _request: Request) -> Response:
        return reply(AccountList(data=[shown(account) for account in await accounts.list_(self._store)]))

    async def show(self, request: Request) -> Response:
        account = await self._administration.account(request.path_params["id"])
        held = await key_records.list_(self._store, account=account.id)
        terms = agreed.in_force(account.plan, account.agreed, self._config)
        found = None
        if terms is not None:
            found = await standings.standing(
                self._administration.ledger, account.id, "", account.anchor, terms
            )
        whole = AccountStanding(
            **msgspec.structs.asdict(shown(account)),
            cycle=found.cycle if found else None,
            balance=found.credits if found else None,
            streams=found.live if found else 0,
            keys=[keys.shown(key) for key in held],
        )
        return reply(whole)

    async def change(self, request: Request) -> Response:
        account = await self._administration.account(request.path_params["id"])
        change = await body(request, AccountChange)
        if change.plan is UNSET and change.agreed is UNSET:
            raise InvalidRequest(
                "Missing required parameter: 'plan', or 'agreed'.",
                param="plan",
                code="missing_required_parameter",
            )
        plan = account.plan if change.plan is UNSET else change.plan
        terms = self._agree(account.agreed, change.agreed, plan)
        act = await self._act(request, "account.changed", account.id, account.name, plan, terms)
        changed = await accounts.set_plan(self._store, account.id, plan, terms, act)
        self._administration.callers.forget(account.id)
        return reply(shown(changed or account))

    async def close(self, request: Request) -> Response:
        account = await self._administration.account(request.path_params["id"])
        act = await self._administration.act(request, "account.closed", account.id, account.id)
        closed = await accounts.close(self._store, account.id, act)
        self._administration.callers.forget(account.id)
        return reply(shown(closed or account))

    def _agree(self, before: Overrides, change: AgreedChange | UnsetType, plan: str) -> Overrides:
        terms = before if change is UNSET else agreed.changed(before, change, self._config)
        agreed.check(plan, terms, self._config)
        return terms

    async def _act(
        self, request: Request, action: str, account: str, name: str, plan: str, terms: Overrides
    ) -> Act:
        details = {"name": name, "plan": plan, "agreed": agreed.shown(terms)}
        return await self._administration.act(request, action, account, account, **details)


def routes(administration: Administration) -> list[Route]:
    of_accounts = Accounts(administration)
    return [
        Route("/admin/accounts", of_accounts.list_, methods=["GET"]),
        Route("/admin/accounts", of_accounts.create, methods=["POST"]),
        Route("/admin/accounts/{id:path}", of_accounts.show, methods=["GET"]),
        Route("/admin/accounts/{id:path}", of_accounts.change, methods=["POST"]),
        Route("/admin/accounts/{id:path}", of_accounts.close, methods=["DELETE"]),
    ]


def shown(account: Account) -> AccountEntry:
    plain = msgspec.structs.asdict(account)
    return AccountEntry(**{**plain, "agreed": agreed.shown(account.agreed)})


def _usual(config: Config) -> str:
    return "free" if "free" in config.plans else next(iter(config.plans))
