"""GET /admin/accounts: the accounts with their people, what they used and paid, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from policies.cycles import cycle_at
from proxy.access.admission import terms_in_force
from proxy.api.admin_tools import AdminTools
from proxy.catalogue.people import account_title
from proxy.config import credits
from proxy.errors import InvalidRequest
from proxy.features.admin import account_sums
from proxy.features.admin.account_sums import CycleSums
from proxy.features.admin.accounts import AccountEntry, account_entry, paid_by_currency
from proxy.http.endpoint import Query
from proxy.http.lists import PAGE, Listing, iso_time_or_none, read_page
from proxy.http.resource import Resource, endpoint
from proxy.storage import accounts
from proxy.storage.accounts import Account
from proxy.storage.rows import in_list
from proxy.storage.store import ALWAYS, Condition

_FIND = Query("find", "Only those with this in their name, or at the beginning of their id or of an address.")
_IDS = Query("ids", "Only these, up to 100 ids with commas between, without `sums`.")
_MOST_FIND_CHARACTERS, _MOST_IDS = 254, 100
_NAME_MATCHES = (
    "name LIKE :part ESCAPE '!' OR lower(name) LIKE :folded ESCAPE '!' OR id LIKE :start ESCAPE '!'"
)


class AccountSums(msgspec.Struct, frozen=True, kw_only=True):
    """`minutes` of speech and `credits` used in this cycle; `allowance` is that of its plan, null without a
    limit, and `granted` credits do not end. `paid` is all that was paid and not given back, by currency, and
    `cost_usd` what providers took in this cycle."""

    minutes: float
    credits: float
    allowance: float | None
    granted: float
    paid: dict[str, str]
    cost_usd: float


class AccountRow(AccountEntry, frozen=True, kw_only=True):
    """`title` is the name for people: where the name was made up, the address of the first of its `users`. A
    paid plan ends at `paid_until`."""

    title: str
    users: list[str]
    paid_until: str | None
    sums: AccountSums | None


class AccountList(Listing, frozen=True, kw_only=True):
    """The newest first."""

    data: list[AccountRow]


class AccountListing(Resource):
    def __init__(self, admin_tools: AdminTools) -> None:
        self._admin_tools = admin_tools
        self._store = admin_tools.store

    @endpoint("GET", "/admin/accounts", AccountList, queries=(_FIND, _IDS, *PAGE), failures=(InvalidRequest,))
    async def list_accounts(self, request: Request) -> Response:
        """All accounts, the newest first, with what they used and paid"""
        ids, store = request.query_params.get("ids"), self._store
        condition = self._name_condition(request) if ids is None else _ids_condition(ids)
        place_of = partial(accounts.ROWS.place_of, store, None)
        page = await read_page(request, place_of, partial(accounts.list_page, store, only=condition))
        account_ids = [account.id for account in page.rows]
        addresses = await self._admin_tools.people.addresses(account_ids)
        sums = {} if ids is not None else await self._sums(page.rows)

        def row(account: Account) -> AccountRow:
            users = [*addresses.get(account.id, ())]
            return AccountRow(
                **msgspec.structs.asdict(account_entry(account)),
                title=account_title(account.name, users),
                users=users,
                paid_until=iso_time_or_none(account.paid_until),
                sums=sums.get(account.id),
            )

        return await page.list_response(AccountList, row)

    def _name_condition(self, request: Request) -> Condition:
        part = request.query_params.get("find", "").strip()
        if len(part) > _MOST_FIND_CHARACTERS or "\0" in part:
            raise InvalidRequest(
                f"Invalid value for 'find': it must be a text of {_MOST_FIND_CHARACTERS} characters at most.",
                param="find",
            )
        if not part:
            return ALWAYS
        escaped = part.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        users = self._admin_tools.people.condition_address_like(f"{escaped.casefold()}%")
        sql = f"({_NAME_MATCHES} OR {users.sql})"
        params = {"part": f"%{escaped}%", "folded": f"%{escaped.casefold()}%", "start": f"{escaped}%"}
        return Condition(sql, {**params, **users.params})

    async def _sums(self, rows: Sequence[Account]) -> Mapping[str, AccountSums]:
        now, tools = await self._store.now(), self._admin_tools
        starts = {account.id: cycle_at(account.anchor, now).start for account in rows}
        cycle_sums = await account_sums.read_cycle_sums(self._store, starts)
        paid = await tools.income.sums_paid([*starts])

        def account_sums_of(account: Account, sums: CycleSums) -> AccountSums:
            terms = terms_in_force(account, tools.config)
            allowance = None if terms is None else terms.allowance
            return AccountSums(
                minutes=round(sums.audio_ms / 60_000, 2),
                credits=credits.to_credits(sums.used),
                allowance=None if allowance is None else credits.to_credits(allowance),
                granted=credits.to_credits(sums.granted),
                paid=paid_by_currency(paid.get(account.id, {})),
                cost_usd=sums.micro_usd / 1_000_000,
            )

        return {account.id: account_sums_of(account, cycle_sums[account.id]) for account in rows}


def _ids_condition(ids: str) -> Condition:
    id_list = ids.split(",")
    if len(id_list) > _MOST_IDS or "\0" in ids:
        raise InvalidRequest(f"Invalid value for 'ids': it must be {_MOST_IDS} ids at most.", param="ids")
    placeholders, params = in_list(id_list)
    return Condition(f"id IN ({placeholders})", params)
