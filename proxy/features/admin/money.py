"""Credits that an operator moves: grants, corrections, refunds; an account's entries; the check of all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from proxy.api.admin_tools import AdminTools, check_open
from proxy.config import credits
from proxy.errors import Conflict, InvalidRequest, NotFound
from proxy.features.admin import movements, verify
from proxy.features.admin.balance import Balance, balance_of
from proxy.features.admin.movements import Reason
from proxy.features.admin.verify import VerifyResult
from proxy.http.body import (
    Name,
    NeededReason,
    ReasonText,
    SignedCredits,
    SomeCredits,
    is_printable,
    micro_credits_of,
    read_body,
)
from proxy.http.lists import PAGE, Listing, iso_time, read_page
from proxy.http.replies import encode_json, reply, struct_from
from proxy.http.resource import Resource, endpoint
from proxy.storage import audit, entries
from proxy.storage.accounts import Account
from proxy.storage.entries import GRANTED, RESERVED_REFERENCES, Entry, Kind


class NewGrant(msgspec.Struct, frozen=True):
    """If the same `reference` comes again, with the same account and credits, nothing changes."""

    credits: SomeCredits
    reference: Name | None = None
    reason: ReasonText = ""


class NewCorrection(msgspec.Struct, frozen=True):
    """`credits` below zero take some away."""

    credits: SignedCredits
    reason: NeededReason


class CycleReset(msgspec.Struct, frozen=True):
    """Why the cycle begins anew, for the entry and the audit."""

    reason: NeededReason


class NewRefund(msgspec.Struct, frozen=True):
    """Without `credits`, all that the request was charged is refunded."""

    reason: NeededReason
    credits: SomeCredits | None = None


class ShownEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One movement. `credits` are below zero if they were spent. `cycle` is the start of the cycle whose
    allowance changed, and null for granted credits."""

    id: str
    account: str
    at: str
    kind: Kind
    credits: float
    pool: Literal["allowance", "granted"]
    cycle: str | None
    request: str | None
    reference: str | None
    reason: str
    actor: str


class EntryList(Listing, frozen=True, kw_only=True):
    data: list[ShownEntry]
    has_more: bool = False
    last_id: str | None = None


class MovedEntry(ShownEntry, frozen=True, kw_only=True):
    """`balance` is what the account has afterwards. It is null if the account's plan is not in force."""

    balance: Balance | None


class Refund(EntryList, frozen=True, kw_only=True):
    """`credits` is the sum of the refund; each pool has one entry. `balance` is what the account has
    afterwards. It is null if the account's plan is not in force."""

    credits: float
    balance: Balance | None


class Money(Resource):
    def __init__(self, admin_tools: AdminTools) -> None:
        self._admin_tools = admin_tools
        self._ledger = admin_tools.ledger

    @endpoint(
        "POST",
        "/admin/accounts/{id:path}/grants",
        MovedEntry,
        status=201,
        body=NewGrant,
        failures=(NotFound, Conflict),
    )
    async def grant_credits(self, request: Request) -> Response:
        """Give an account extra credits. They do not expire."""
        account = await self._open_account(request.path_params["id"])
        new = await read_body(request, NewGrant)
        micro_credits = micro_credits_of(new.credits, "credits")
        if new.reference is not None and new.reference.startswith(RESERVED_REFERENCES):
            raise InvalidRequest(
                f"Invalid value for 'reference': one that begins with {', '.join(RESERVED_REFERENCES)} is "
                "the server's own.",
                param="reference",
            )
        details = {**_audit_details(micro_credits, new.reason), "reference": new.reference}
        reason = await self._audited_reason(request, "credits.granted", account.id, account.id, details)
        entry = await movements.grant(self._ledger, account.id, micro_credits, new.reference, reason)
        return await self._reply_with_balance(account, entry)

    @endpoint(
        "POST",
        "/admin/accounts/{id:path}/corrections",
        MovedEntry,
        status=201,
        body=NewCorrection,
        failures=(NotFound, Conflict),
    )
    async def correct_credits(self, request: Request) -> Response:
        """Add or remove granted credits to fix a mistake."""
        account = await self._open_account(request.path_params["id"])
        new = await read_body(request, NewCorrection)
        micro_credits = micro_credits_of(new.credits, "credits")
        if micro_credits == 0:
            raise InvalidRequest("Invalid value for 'credits': it must not be 0.", param="credits")
        details = _audit_details(micro_credits, new.reason)
        reason = await self._audited_reason(request, "credits.corrected", account.id, account.id, details)
        return await self._reply_with_balance(
            account, await movements.correct(self._ledger, account.id, micro_credits, reason)
        )

    @endpoint(
        "POST",
        "/admin/accounts/{id:path}/reset-cycle",
        MovedEntry,
        status=201,
        body=CycleReset,
        failures=(NotFound, Conflict),
    )
    async def reset_cycle(self, request: Request) -> Response:
        """Give an account back what it spent of its allowance in this cycle."""
        account = await self._open_account(request.path_params["id"])
        reason = (await read_body(request, CycleReset)).reason
        act = await self._admin_tools.audit_row(request, "cycle.reset", account.id, account.id)

        def reason_for(micro_credits: int, reference: str) -> Reason:
            details = {**_audit_details(micro_credits, reason), "reference": reference}
            statements = audit.insert_statements(replace(act, details=encode_json(details).decode()))
            return Reason(act.actor, reason, statements)

        return await self._reply_with_balance(
            account, await movements.reset_cycle(self._ledger, account, reason_for)
        )

    @endpoint(
        "GET",
        "/admin/accounts/{id:path}/entries",
        EntryList,
        queries=PAGE,
        failures=(InvalidRequest, NotFound),
    )
    async def list_entries(self, request: Request) -> Response:
        """Every movement of an account's credits, the newest first"""
        account = (await self._admin_tools.find_account(request.path_params["id"])).id
        store = self._ledger.store
        page = await read_page(
            request,
            lambda id_: entries.find_place(store, id_, account),
            lambda place, limit: entries.list_of_account(
                store, account, at=place.at, id_=place.id, limit=limit
            ),
        )
        return await page.list_response(EntryList, _shown_entry)

    @endpoint(
        "POST",
        "/admin/requests/{id}/refund",
        Refund,
        status=201,
        body=NewRefund,
        failures=(NotFound, Conflict),
    )
    async def refund_request(self, request: Request) -> Response:
        """Refund a request, in full or in part. Only one refund is possible."""
        id_ = request.path_params["id"]
        new = await read_body(request, NewRefund)
        micro_credits = None if new.credits is None else micro_credits_of(new.credits, "credits")
        if not is_printable(id_):
            raise NotFound("There is no request with such an id; see voxgate usage --wide.", param="request")
        entries_of_request = await entries.read_of_request(self._ledger.store, id_)
        charged = -sum(entry.amount for entry in entries_of_request if entry.kind == "spend")
        # A request that was charged nothing is refused below, for every account.
        account = await self._open_account(entries_of_request[0].account) if entries_of_request else None
        details = _audit_details(charged if micro_credits is None else micro_credits, new.reason)
        reason = await self._audited_reason(
            request, "credits.refunded", id_, account.id if account else "", details
        )
        refunds = await movements.refund(self._ledger, id_, micro_credits, reason)
        assert account is not None, "what was charged nothing is refused above"
        refund = Refund(
            data=[_shown_entry(entry) for entry in refunds],
            credits=credits.to_credits(sum(entry.amount for entry in refunds)),
            balance=await self._balance(account),
        )
        return reply(refund, 201)

    @endpoint("GET", "/admin/ledger", VerifyResult)
    async def verify_ledger(self, _request: Request) -> Response:
        """Check that the books agree with each other"""
        return reply(await verify.verify(self._ledger.store))

    async def _reply_with_balance(self, account: Account, entry: Entry) -> Response:
        entry_fields = msgspec.structs.asdict(_shown_entry(entry))
        return reply(MovedEntry(**entry_fields, balance=await self._balance(account)), 201)

    async def _balance(self, account: Account) -> Balance | None:
        account_balance = await balance_of(account, self._admin_tools)
        return account_balance.balance if account_balance else None

    async def _open_account(self, id_or_name: str) -> Account:
        """Return the account. Raises NotFound, and Conflict if it is closed."""
        account = await self._admin_tools.find_account(id_or_name)
        check_open(account)
        return account

    async def _audited_reason(
        self, request: Request, action: str, subject: str, account: str, details: Mapping[str, Any]
    ) -> Reason:
        act = await self._admin_tools.audit_row(request, action, subject, account, **details)
        return Reason(act.actor, details["reason"], audit.insert_statements(act))


def _audit_details(micro_credits: int, reason: str) -> dict[str, Any]:
    return {"credits": credits.to_credits(micro_credits), "reason": reason}


def _shown_entry(entry: Entry) -> ShownEntry:
    is_granted = entry.pool == GRANTED
    return struct_from(
        ShownEntry,
        entry,
        at=iso_time(entry.at),
        credits=credits.to_credits(entry.amount),
        pool="granted" if is_granted else "allowance",
        cycle=None if is_granted else iso_time(entry.pool),
    )
