"""`voxgate usage`, `voxgate plans`, `voxgate audit`: what was used, what is offered, who changed what."""

from __future__ import annotations

from typing import Annotated

import typer

from proxy.cli import tables
from proxy.cli.admin_requests import Limit, OfAccount, Since, ask, copy
from proxy.cli.output import AsJson, ConfigFile
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
        bool, typer.Option("--csv", help="Print CSV, all rows unless there is a limit.")
    ] = False,
    limit: Limit = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List requests with what they came to, the newest first; or sums of them."""
    query = {"account": account, "since": since, "until": until, "by": by, "limit": limit}
    if as_csv and as_json:
        raise CommandRefused("--csv and --json: take one of them")
    if as_csv:
        copy(config_file, "usage", format="csv", **query)
    else:
        ask(config_file, as_json, tables.usage_sums if by else tables.usage, "GET", "usage", **query)


def plans(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the plans of the configuration, and how many accounts have each."""
    ask(config_file, as_json, tables.plans, "GET", "plans")


def audit(
    account: OfAccount = None,
    since: Since = None,
    limit: Limit = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List who changed what of accounts, keys and credits, the newest first."""
    ask(config_file, as_json, tables.audit, "GET", "audit", account=account, since=since, limit=limit)
