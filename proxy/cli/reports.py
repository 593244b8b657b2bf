"""`voxgate usage`, `voxgate plans`, `voxgate audit`: reports of use, of plans, and of changes."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from policies.limits import AGREEABLE
from proxy.cli import tables
from proxy.cli.admin_requests import ask, copy
from proxy.cli.options import AsJson, ConfigFile, Limit, OfAccount, Since
from proxy.errors import CommandRefused


def usage(
    account: OfAccount = None,
    since: Since = None,
    until: Annotated[str | None, typer.Option(help="Before this day or time, UTC.")] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Sums by day, month, engine, model, voice, language, key, account, outcome or cache."
        ),
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV: all rows, unless there is a --limit.")
    ] = False,
    limit: Limit = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List requests with their audio and credits, the newest first; or sums of them."""
    query = {"account": account, "since": since, "until": until, "by": by, "limit": limit}
    if as_csv and as_json:
        raise CommandRefused("--csv and --json: use only one of them")
    if as_csv:
        copy(config_file, "usage", format="csv", **query)
    else:
        ask(config_file, as_json, _sums_table if by else _usage_table, "GET", "usage", **query)


def plans(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the plans of the configuration, and how many accounts have each."""
    ask(config_file, as_json, _plans_table, "GET", "plans")


def audit(
    account: OfAccount = None,
    since: Since = None,
    limit: Limit = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List the changes of accounts, keys and credits, the newest first."""
    ask(config_file, as_json, _audit_table, "GET", "audit", account=account, since=since, limit=limit)


_SUMS = ("credits", "refunded", "cost_usd")


def _plans_table(answer: dict[str, Any]) -> Table:
    table = tables.table("name", "price", *AGREEABLE, "speech", "accounts")
    for row in answer["data"]:
        speech = row["prices"]["speech"]
        price = f"{tables.number(speech['credits'])} a {speech['per']}" if speech["credits"] else "free"
        cells = (row["name"], row["price"] or "free", *(tables.limit(row[name]) for name in AGREEABLE))
        tables.add_row(table, *cells, price, str(row["accounts"]))
    return table


def _usage_table(answer: dict[str, Any]) -> RenderableType:
    table = tables.table(
        *("id", "started", "account", "model", "voice", "outcome", "cache"),
        *("s", "credits", "refunded", "usd"),
    )
    for row in answer["data"]:
        model = f"{row['engine']}/{row['model']}"
        cells = (row["id"], row["started"], row["account"], model, row["voice"], row["outcome"], row["cache"])
        seconds = tables.number(row["audio_ms"] / 1000)
        tables.add_row(
            table,
            *cells,
            seconds,
            *(tables.number(row[name]) for name in _SUMS),
        )
    return _with_rest(table, answer)


def _sums_table(answer: dict[str, Any]) -> RenderableType:
    table = tables.table("", "requests", "characters", "s", "credits", "refunded", "usd")
    for row in answer["data"]:
        cells = (
            row["name"],
            str(row["requests"]),
            str(row["characters"]),
            tables.number(row["audio_ms"] / 1000),
        )
        tables.add_row(table, *cells, *(tables.number(row[name]) for name in _SUMS))
    return _with_rest(table, answer)


def _with_rest(table: Table, answer: dict[str, Any]) -> RenderableType:
    if not answer["has_more"]:
        return table
    return Group(table, Text("There are more: see --limit and --csv.", "dim"))


def _audit_table(answer: dict[str, Any]) -> Table:
    table = tables.table("at", "actor", "action", "subject", "account", "details")
    for row in answer["data"]:
        cells = (row["at"], row["actor"], row["action"], row["subject"], row["account"])
        tables.add_row(table, *cells, tables.facts(row["details"]))
    return table
