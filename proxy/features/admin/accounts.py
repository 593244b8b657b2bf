"""/admin/accounts: an operator makes, shows, changes and closes accounts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from policies.cycles import cycle_at
from policies.plans import UNLIMITED, AgreedTerms
from proxy.access.callers import caller_or_none
from proxy.api.admin_tools import AdminTools, check_open
from proxy.catalogue.people import UserEntry, account_title
from proxy.config.fields import missing_parameter
from proxy.config.sections import Config
from proxy.errors import Conflict, InvalidRequest, NotFound
from proxy.features.admin import agreed_terms, keys
from proxy.features.admin.agreed_terms import AgreedChange, ShownOverrides
from proxy.features.admin.balance import Balance, ShownCycle, balance_of
from proxy.features.admin.keys import KeyEntry
from proxy.http.body import Name, NeededReason, read_body
from proxy.http.lists import MOST_ROWS, iso_time_or_none
from proxy.http.replies import reply, struct_from
from proxy.http.resource import Resource, endpoint
from proxy.storage import accounts, costs, key_records
from proxy.storage.accounts import Account, Change
from proxy.storage.audit import Act
from proxy.storage.rows import NEWEST, new_id
from proxy.storage.store import AlreadyExists, Store

_Agreed = Annotated[
    AgreedChange, Meta(description='an object with what is agreed, such as {"allowance": 1000, "rpm": 60}')
]


class NewAccount(msgspec.Struct, frozen=True):
    """Without `plan`, the plan is `free`, or the first one if the configuration has no `free`."""

    name: Name
    plan: Name | None = None
    agreed: _Agreed | UnsetType = UNSET


class AccountChange(msgspec.Struct, frozen=True):
    """A change of the plan, of what is agreed, or of both."""

    plan: Name | UnsetType = UNSET
    agreed: _Agreed | UnsetType = UNSET


class SuspensionReason(msgspec.Struct, frozen=True):
    """Why an account is suspended or resumed, for the audit. Its owner does not see it."""

    reason: NeededReason


class AccountEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Cycles are counted from the anchor. While an account is `suspended`, its keys are refused."""

    id: str
    name: str
    plan: str
    created: str
    closed: str | None
    suspended: str | None
    anchor: str
    agreed: ShownOverrides


class AccountDetails(AccountEntry, frozen=True, kw_only=True):
    """`title` is the name for people: where the name was made up, the address of its first user.

    `cycle` and `balance` are null if the account's plan is not in force: it is no longer configured,
    or it needs an agreed limit, and none was agreed. `streams` counts running requests. `keys` has
    the newest thousand. `paid` is what it paid and did not get back, by currency, and `cost_usd` what
    providers took for it in this cycle."""

    title: str
    cycle: ShownCycle | None
    balance: Balance | None
    streams: int
    keys: list[KeyEntry]
    paid_until: str | None
    paid: dict[str, str]
    cost_usd: float
    users: list[UserEntry]


class Accounts(Resource):
    def __init__(self, admin_tools: AdminTools) -> None:
        self._admin_tools = admin_tools
        self._store = admin_tools.store
        self._config = admin_tools.config

    @endpoint("POST", "/admin/accounts", AccountEntry, status=201, body=NewAccount, failures=(Conflict,))
    async def create_account(self, request: Request) -> Response:
        """Make an account"""
        new = await read_body(request, NewAccount)
        # It is a part of paths. Older accounts may have a slash.
        if "/" in new.name or new.name in (".", ".."):
            raise InvalidRequest(
                "Invalid value for 'name': it must have no '/', and not be '.' or '..'.", param="name"
            )
        plan = new.plan or default_plan(self._config)
        agreed = self._changed_terms(AgreedTerms(), new.agreed, plan)
        details = {"name": new.name, **_plan_details(plan, agreed)}
        id_ = new_id("acc")
        act = await self._admin_tools.audit_row(request, "account.created", id_, id_, **details)
        try:
            created = await accounts.create(self._store, name=new.name, plan=plan, agreed=agreed, act=act)
        except AlreadyExists:
            raise Conflict(f"There is an account with the name '{new.name}' already.", param="name") from None
        return reply(account_entry(created), 201)

    @endpoint("GET", "/admin/accounts/{id:path}", AccountDetails, failures=(NotFound,))
    async def get_account(self, request: Request) -> Response:
        """One account, by id or name, with its balance and its keys"""
        account = await self._admin_tools.find_account(request.path_params["id"])
        records = await key_records.page(self._store, account.id, NEWEST, MOST_ROWS)
        account_balance = await balance_of(account, self._admin_tools)
        paid = await self._admin_tools.income.sums_paid([account.id])
        addresses = await self._admin_tools.people.addresses([account.id])
        cycle = cycle_at(account.anchor, await self._store.now())
        micro_usd = await costs.sum_costs(self._store, account.id, cycle.start, is_account=True)
        details = AccountDetails(
            **msgspec.structs.asdict(account_entry(account)),
            title=account_title(account.name, addresses.get(account.id, ())),
            cycle=account_balance.cycle if account_balance else None,
            balance=account_balance.balance if account_balance else None,
            streams=account_balance.running if account_balance else 0,
            keys=[keys.key_entry(key) for key in records],
            paid_until=iso_time_or_none(account.paid_until),
            paid=paid_by_currency(paid.get(account.id, {})),
            cost_usd=micro_usd / 1_000_000,
            users=[*await self._admin_tools.people.users_of(account.id)],
        )
        return reply(details)

    @endpoint(
        "POST", "/admin/accounts/{id:path}", AccountEntry, body=AccountChange, failures=(NotFound, Conflict)
    )
    async def change_account(self, request: Request) -> Response:
        """Change an account's plan, or what is agreed with it alone"""
        account = await self._admin_tools.find_account(request.path_params["id"])
        change = await read_body(request, AccountChange)
        if change.plan is UNSET and change.agreed is UNSET:
            raise missing_parameter("plan", ", or 'agreed'.")

        async def decide(current: Account) -> Change:
            check_open(current)
            plan = current.plan if change.plan is UNSET else change.plan
            agreed = self._changed_terms(current.agreed, change.agreed, plan)
            before = _plan_details(current.plan, current.agreed)
            details = {"name": current.name, **_plan_details(plan, agreed), "before": before}
            act = await self._admin_tools.audit_row(
                request, "account.changed", current.id, current.id, **details
            )
            return Change(plan, agreed, act, sets_plan=change.plan is not UNSET)

        changed_account = await accounts.change(self._store, account.id, decide)
        if changed_account == "overtaken":
            raise Conflict(
                f"The account '{account.name}' is being changed by others; read it, and try again."
            )
        self._admin_tools.callers.forget(account.id)
        return reply(account_entry(changed_account or account))

    @endpoint("DELETE", "/admin/accounts/{id:path}", AccountEntry, failures=(NotFound,))
    async def close_account(self, request: Request) -> Response:
        """Close an account: its keys stop working, its usage stays"""
        account = await self._admin_tools.find_account(request.path_params["id"])
        act = await self._admin_tools.audit_row(request, "account.closed", account.id, account.id)
        return reply(account_entry(await self._admin_tools.close_account(account, act)))

    @endpoint(
        "POST",
        "/admin/accounts/{id:path}/suspend",
        AccountEntry,
        body=SuspensionReason,
        failures=(NotFound, Conflict),
    )
    async def suspend_account(self, request: Request) -> Response:
        """Suspend an account: its keys are refused and its jobs wait, and nothing of it is deleted"""
        account = await self._admin_tools.find_account(request.path_params["id"])
        check_open(account)
        caller = caller_or_none(request.scope)
        if caller is not None and caller.account == account.id:
            raise Conflict(
                f"The key of this request belongs to the account '{account.name}', which would lock itself "
                "out. Use a key of another account, or voxgate accounts suspend on the server.",
                param="account",
            )
        return await self._suspend_or_resume(request, account, "account.suspended", accounts.suspend)

    @endpoint(
        "POST",
        "/admin/accounts/{id:path}/resume",
        AccountEntry,
        body=SuspensionReason,
        failures=(NotFound, Conflict),
    )
    async def resume_account(self, request: Request) -> Response:
        """End the suspension of an account: its keys work again, and its jobs go on"""
        account = await self._admin_tools.find_account(request.path_params["id"])
        check_open(account)
        return await self._suspend_or_resume(request, account, "account.resumed", accounts.resume)

    async def _suspend_or_resume(
        self,
        request: Request,
        account: Account,
        action: str,
        suspend_or_resume: Callable[[Store, str, Act], Awaitable[Account | None]],
    ) -> Response:
        reason = (await read_body(request, SuspensionReason)).reason
        act = await self._admin_tools.audit_row(request, action, account.id, account.id, reason=reason)
        changed_account = await suspend_or_resume(self._store, account.id, act)
        self._admin_tools.callers.forget(account.id)
        return reply(account_entry(changed_account or account))

    def _changed_terms(self, before: AgreedTerms, change: AgreedChange | UnsetType, plan: str) -> AgreedTerms:
        agreed = before if change is UNSET else agreed_terms.apply_change(before, change, self._config)
        agreed_terms.check_terms(plan, agreed, self._config)
        return agreed


def account_entry(account: Account) -> AccountEntry:
    times = {
        name: iso_time_or_none(getattr(account, name))
        for name in ("created", "closed", "suspended", "anchor")
    }
    return struct_from(AccountEntry, account, agreed=agreed_terms.shown_overrides(account.agreed), **times)


def paid_by_currency(paid: Mapping[str, int]) -> dict[str, str]:
    return {currency: f"{Decimal(amount).scaleb(-2):.2f}" for currency, amount in paid.items()}


def _plan_details(plan: str, agreed: AgreedTerms) -> dict[str, object]:
    return {"plan": plan, "agreed": agreed_terms.shown_overrides(agreed)}


def default_plan(config: Config) -> str:
    return "free" if "free" in config.plans else next(iter(config.plans), UNLIMITED.name)
