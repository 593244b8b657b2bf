"""`voxgate usage`, `plans`, `audit` and `ledger …`: reports of use, plans, changes and credits."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from policies.limits import AGREED_LIMITS
from policies.usage_sides import DIMENSIONS
from proxy.cli.admin_requests import show_answer, write_answer_parts
from proxy.cli.options import ConfigFile, Printed
from proxy.commands import tables
from proxy.commands.command import AdminRequest, Command, Group, admin_path
from proxy.commands.options import Account, Limit, OfAccount, Since, read_credits
from proxy.commands.tables import Columns, Grid, Line, Part
from proxy.errors import CommandRefused


def usage(
    account: OfAccount = None,
    since: Since = None,
    until: Annotated[str | None, typer.Option(help="Before this day or time, UTC.")] = None,
    by: Annotated[
        str | None,
        typer.Option(help=f"Sums by {', '.join(DIMENSIONS[:-1])} or {DIMENSIONS[-1]}."),
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Only requests with this tag.")] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV: all rows, unless there is a --limit.")
    ] = False,
    limit: Limit = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """List requests with their audio and credits, or sums. The newest is first."""
    query = {"account": account, "since": since, "until": until, "by": by, "tag": tag, "limit": limit}
    # `form` is True for --json and False for --wide, which means nothing for CSV.
    if as_csv and form is True:
        raise CommandRefused("--csv and --json: use only one of them")
    if as_csv:
        write_answer_parts(config_file, "usage", sys.stdout.buffer.write, format="csv", **query)
        sys.stdout.flush()
    else:
        # Tables show accounts by name.
        admin_request = AdminRequest("GET", "usage", query=query, pages="named")
        show_answer(admin_request, config_file, form, _sums_table if by else _usage_table)


def plans() -> AdminRequest:
    """List the plans, and how many accounts have each."""
    return AdminRequest("GET", "plans")


def audit(account: OfAccount = None, since: Since = None, limit: Limit = None) -> AdminRequest:
    """List who changed what. The newest is first."""
    return AdminRequest(
        "GET", "audit", query={"account": account, "since": since, "limit": limit}, pages="named"
    )


_MORE = Line("There are more: see --limit and --csv.", "dim")

_PRICED_KINDS = ("speech", "cached", "clone", "conversion", "training", "transcription")
"""The prices of a plan. The prices of single models are only in --json."""
_ONLY_WIDE = ("voices", "clones", "keys", "max_characters", *_PRICED_KINDS[1:])


def _plans_table(answer: dict[str, Any]) -> list[Part]:
    rows = []
    for row in answer["data"]:
        limits = (tables.limit_text(row[name]) for name in AGREED_LIMITS)
        prices = (_price_text(row["prices"][kind]) for kind in _PRICED_KINDS)
        rows.append((row["name"], row["price"] or "free", *limits, *prices, str(row["accounts"])))
    columns = ("name", "price", *AGREED_LIMITS, *_PRICED_KINDS, "accounts")
    return [Grid(columns, rows, wide=_ONLY_WIDE)]


def _price_text(price: dict[str, Any] | None) -> str:
    if price is None:
        return ""
    return f"{tables.number_text(price['credits'])} a {price['per']}" if price["credits"] else "free"


def _seconds_text(row: dict[str, Any]) -> str:
    return tables.number_text(row["audio_ms"] / 1000)


_AMOUNTS = {
    "credits": tables.number_cell("credits"),
    "refunded": tables.number_cell("refunded"),
    "usd": tables.number_cell("cost_usd"),
}
_USAGE: Columns = {
    "started": tables.time_cell("started"),
    "account": "account",
    "model": lambda row: f"{row['engine']}/{row['model']}",
    "outcome": "outcome",
    "s": _seconds_text,
    **_AMOUNTS,
    **{name: name for name in ("voice", "cache", "id")},
}
_GROUPS: Columns = {
    "name": lambda row: row["account_name"] or row["name"],
    **{name: name for name in ("requests", "characters")},
    "s": _seconds_text,
    **_AMOUNTS,
}
_ACTS: Columns = {
    "at": tables.time_cell("at"),
    "account": "account",
    "action": "action",
    "details": lambda row: tables.facts_text(row["details"]),
    "actor": "actor",
    "subject": "subject",
}


def _usage_table(answer: dict[str, Any]) -> list[Part]:
    grid = tables.make_grid(answer, _USAGE, wide=("refunded", "voice", "cache", "id"))
    return [grid, *([_MORE] if answer["has_more"] else [])]


def _sums_table(answer: dict[str, Any]) -> list[Part]:
    return [tables.make_grid(answer, _GROUPS), *([_MORE] if answer["has_more"] else [])]


def _audit_table(answer: dict[str, Any]) -> list[Part]:
    return [tables.make_grid(answer, _ACTS, wide=("subject",))]


PLANS = Command("plans", plans, _plans_table)
AUDIT = Command("audit", audit, _audit_table)


LEDGER = Group("ledger", "The ledger: every movement of credits.")


def _refund_table(answer: dict[str, Any]) -> list[Part]:
    return [
        Line(f"{tables.number_text(answer['credits'])} credits were given back."),
        *tables.show_movement(answer),
    ]


def _verdict_table(answer: dict[str, Any]) -> list[Part]:
    counted = ", ".join(
        f"{answer[name]} {name.replace('_', ' ')}"
        for name in ("entries", "requests", "balances", "live_holds")
    )
    if answer["is_clean"]:
        return [Line(f"The books agree: {counted}.", "green")]
    rows = [(row["check"], row["subject"], row["found"]) for row in answer["contradictions"]]
    return [
        Line(f"The books contradict one another: {counted}.", "red"),
        Grid(("what must hold", "subject", "found"), rows),
    ]


@LEDGER.command("entries", tables.show_entries)
def ledger_entries(
    account: Account,
    limit: Limit = None,
    after: Annotated[str | None, typer.Option(help="The id of the last entry on the previous page.")] = None,
) -> AdminRequest:
    """List the movements of an account's credits, the newest first."""
    return AdminRequest(
        "GET", admin_path("accounts", account, "entries"), query={"limit": limit, "after": after}
    )


@LEDGER.command("refund", _refund_table)
def ledger_refund(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="The id of the request (req_…).")],
    reason: Annotated[str, typer.Option(help="Why, for the entries and the audit.")],
    credits: Annotated[str, typer.Option(help="A part of the charge; else all of it.")] = "",
) -> AdminRequest:
    """Refund the charge of a request, once."""
    body = {"credits": read_credits(credits, "--credits") if credits else None, "reason": reason}
    return AdminRequest("POST", admin_path("requests", request, "refund"), body)


@LEDGER.command("verify", _verdict_table)
def ledger_verify() -> AdminRequest:
    """Compare balances, entries and usage. If they contradict one another, the exit status is 1."""
    return AdminRequest("GET", "ledger", is_long=True, status=lambda verdict: 0 if verdict["is_clean"] else 1)
