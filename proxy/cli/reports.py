"""`voxgate usage`, `voxgate plans`, `voxgate audit`: reports of use, of plans, and of changes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from policies.limits import AGREEABLE
from proxy.cli import tables
from proxy.cli.admin_requests import ask, ask_named, copy
from proxy.cli.options import ConfigFile, Limit, OfAccount, Printed, Since
from proxy.cli.tables import Grid, Line, Part
from proxy.errors import CommandRefused


def usage(
    account: OfAccount = None,
    since: Since = None,
    until: Annotated[str | None, typer.Option(help="Before this day or time, UTC.")] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Sums by day, month, engine, model, voice, language, key, account, outcome, cache, "
            "operation or refusal."
        ),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV: all rows, unless there is a --limit.")
    ] = False,
    limit: Limit = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """List requests with their audio and credits, or sums. The newest is first."""
    query = {"account": account, "since": since, "until": until, "by": by, "limit": limit}
    if as_csv and form:
        raise CommandRefused("--csv and --json: use only one of them")
    if as_csv:
        copy(config_file, "usage", format="csv", **query)
    else:
        ask_named(config_file, form, _sums_table if by else _usage_table, "usage", **query)


def plans(config_file: ConfigFile = None, form: Printed = None) -> None:
    """List the plans, and how many accounts have each."""
    ask(config_file, form, _plans_table, "GET", "plans")


def audit(
    account: OfAccount = None,
    since: Since = None,
    limit: Limit = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """List who changed accounts, keys and credits. The newest is first."""
    ask_named(config_file, form, _audit_table, "audit", account=account, since=since, limit=limit)


_SUMS = ("credits", "refunded", "cost_usd")
_MORE = Line("There are more: see --limit and --csv.", "dim")


def _plans_table(answer: dict[str, Any]) -> list[Part]:
    rows = []
    for row in answer["data"]:
        speech = row["prices"]["speech"]
        price = f"{tables.number(speech['credits'])} a {speech['per']}" if speech["credits"] else "free"
        limits = (tables.limit(row[name]) for name in AGREEABLE)
        rows.append((row["name"], row["price"] or "free", *limits, price, str(row["accounts"])))
    columns = ("name", "price", *AGREEABLE, "speech", "accounts")
    return [Grid(columns, rows, wide=("voices", "clones", "max_characters"))]


def _usage_table(answer: dict[str, Any]) -> list[Part]:
    names, rows = tables.account_names(answer), []
    for row in answer["data"]:
        rows.append(
            (
                tables.when(row["started"]),
                names.get(row["account"], row["account"]),
                f"{row['engine']}/{row['model']}",
                row["outcome"],
                tables.number(row["audio_ms"] / 1000),
                *(tables.number(row[name]) for name in _SUMS),
                row["voice"],
                row["cache"],
                row["id"],
            )
        )
    columns = ("started", "account", "model", "outcome", "s", "credits", "refunded", "usd")
    wide = ("voice", "cache", "id")
    grid = Grid((*columns, *wide), rows, wide=("refunded", *wide))
    return [grid, *([_MORE] if answer["has_more"] else [])]


def _sums_table(answer: dict[str, Any]) -> list[Part]:
    rows = [
        (
            row["name"],
            str(row["requests"]),
            str(row["characters"]),
            tables.number(row["audio_ms"] / 1000),
            *(tables.number(row[name]) for name in _SUMS),
        )
        for row in answer["data"]
    ]
    grid = Grid(("name", "requests", "characters", "s", "credits", "refunded", "usd"), rows)
    return [grid, *([_MORE] if answer["has_more"] else [])]


def _audit_table(answer: dict[str, Any]) -> list[Part]:
    names = tables.account_names(answer)
    rows = [
        (
            tables.when(row["at"]),
            names.get(row["account"], row["account"]),
            row["action"],
            tables.facts(row["details"]),
            row["actor"],
            row["subject"],
        )
        for row in answer["data"]
    ]
    columns = ("at", "account", "action", "details", "actor", "subject")
    return [Grid(columns, rows, wide=("subject",))]
