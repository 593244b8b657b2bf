"""What operators meet, under /admin."""

from __future__ import annotations

from proxy.api_admin import accounts, audit, engines, keys, money, plans, route, usage
from proxy.api_admin.operations.clients import USAGE_QUERIES
from proxy.api_admin.operations.library import ADMIN_LIBRARY
from proxy.errors import (
    Conflict,
    InvalidRequest,
    LimitsUnavailable,
    NotFound,
    RateLimited,
    UpstreamFailed,
)
from proxy.http.operation import ACCOUNT, BODY, PAGE, SINCE, Operation, json
from proxy.ledger.verify import VerifyResult

_ACCOUNTS = (
    Operation(
        "list_accounts",
        "GET /admin/accounts",
        "All accounts, the newest first",
        json(accounts.AccountList),
        "admin",
        queries=PAGE,
        failures=(InvalidRequest,),
    ),
    Operation(
        "create_account",
        "POST /admin/accounts",
        "Make an account",
        json(accounts.AccountEntry),
        "admin",
        status=201,
        takes=accounts.NewAccount,
        failures=(*BODY, Conflict),
    ),
    Operation(
        "get_account",
        "GET /admin/accounts/{id}",
        "One account, by id or name, with its balance and its keys",
        json(accounts.AccountStanding),
        "admin",
        failures=(NotFound,),
    ),
    Operation(
        "change_account",
        "POST /admin/accounts/{id}",
        "Change an account's plan, or what is agreed with it alone",
        json(accounts.AccountEntry),
        "admin",
        takes=accounts.AccountChange,
        failures=(*BODY, NotFound, Conflict),
    ),
    Operation(
        "close_account",
        "DELETE /admin/accounts/{id}",
        "Close an account: its keys stop working, its usage stays",
        json(accounts.AccountEntry),
        "admin",
        failures=(NotFound,),
    ),
)

_MONEY = (
    Operation(
        "grant_credits",
        "POST /admin/accounts/{id}/grants",
        "Credits on top of every allowance, which stay until they are spent",
        json(money.MovedEntry),
        "admin",
        status=201,
        takes=money.NewGrant,
        failures=(*BODY, NotFound, Conflict),
    ),
    Operation(
        "correct_credits",
        "POST /admin/accounts/{id}/corrections",
        "More or fewer granted credits, where something went wrong",
        json(money.MovedEntry),
        "admin",
        status=201,
        takes=money.NewCorrection,
        failures=(*BODY, NotFound, Conflict),
    ),
    Operation(
        "list_entries",
        "GET /admin/accounts/{id}/entries",
        "Every movement of an account's credits, the newest first",
        json(money.EntryList),
        "admin",
        queries=PAGE,
        failures=(InvalidRequest, NotFound),
    ),
    Operation(
        "refund_request",
        "POST /admin/requests/{id}/refund",
        "What a request was charged, or a part of it, back; once",
        json(money.Refund),
        "admin",
        status=201,
        takes=money.NewRefund,
        failures=(*BODY, NotFound, Conflict),
    ),
    Operation(
        "verify_ledger",
        "GET /admin/ledger",
        "Whether the books agree with one another",
        json(VerifyResult),
        "admin",
    ),
)

_KEYS = (
    Operation(
        "list_keys",
        "GET /admin/keys",
        "Keys, without their secrets, the newest first",
        json(keys.KeyList),
        "admin",
        queries=(ACCOUNT, *PAGE),
        failures=(InvalidRequest, NotFound),
    ),
    Operation(
        "create_key",
        "POST /admin/keys",
        "Make a key; its secret is shown this once",
        json(keys.MintedKey),
        "admin",
        status=201,
        takes=keys.NewKey,
        failures=(*BODY, NotFound),
    ),
    Operation(
        "revoke_key",
        "DELETE /admin/keys/{id}",
        "End a key",
        json(keys.KeyEntry),
        "admin",
        failures=(NotFound,),
    ),
    Operation(
        "rotate_key",
        "POST /admin/keys/{id}/rotate",
        "A new key like this one, which is revoked",
        json(keys.MintedKey),
        "admin",
        status=201,
        failures=(InvalidRequest, NotFound),
    ),
)

_REPORTS = (
    Operation(
        "list_plans", "GET /admin/plans", "What the configuration offers", json(plans.PlanList), "admin"
    ),
    Operation(
        "list_all_usage",
        "GET /admin/usage",
        "Everybody's requests with what they came to, or sums of them",
        {**json(usage.AdminUsageList, usage.AdminUsageGroups), "text/csv": ()},
        "admin",
        queries=(ACCOUNT, *USAGE_QUERIES),
        failures=(InvalidRequest, NotFound, RateLimited, LimitsUnavailable),
    ),
    Operation(
        "list_audit",
        "GET /admin/audit",
        "Who changed what, the newest first",
        json(audit.ActList),
        "admin",
        queries=(ACCOUNT, SINCE, *PAGE),
        failures=(InvalidRequest, NotFound),
    ),
    Operation(
        "list_engines",
        "GET /admin/engines",
        "Engines with their state, and plugins that failed",
        json(engines.EngineStatuses),
        "admin",
    ),
    Operation(
        "explain_route",
        "POST /admin/route/explain",
        "Who would speak a request, and what every filter says; nothing is spoken",
        json(route.RouteAnswer),
        "admin",
        takes=route.RouteQuestion,
        failures=(*BODY, NotFound, Conflict, UpstreamFailed),
    ),
)

ADMIN = (*_ACCOUNTS, *_MONEY, *_KEYS, *ADMIN_LIBRARY, *_REPORTS)
