"""`voxgate ledger …`: an account's entries, refunds, and the check of the books."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from proxy.cli import tables
from proxy.cli.admin_requests import ask, ask_patiently, path
from proxy.cli.options import Account, ConfigFile, Limit, Printed, credits_of
from proxy.cli.tables import Grid, Line, Part

ledger = typer.Typer(help="The ledger: every movement of credits.", no_args_is_help=True)


@ledger.command("entries")
def ledger_entries(
    account: Account,
    limit: Limit = None,
    after: Annotated[str | None, typer.Option(help="The id of the last entry on the previous page.")] = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """List the movements of an account's credits, the newest first."""
    where = path("accounts", account, "entries")
    ask(config_file, form, tables.entries, "GET", where, limit=limit, after=after)


@ledger.command("refund")
def ledger_refund(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="The id of the request (req_…).")],
    reason: Annotated[str, typer.Option(help="Why, for the entries and the audit.")],
    credits: Annotated[str, typer.Option(help="A part of the charge; else all of it.")] = "",
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Refund the charge of a request, once."""
    body = {"credits": credits_of(credits, "--credits") if credits else None, "reason": reason}
    ask(config_file, form, _refund_table, "POST", path("requests", request, "refund"), body)


@ledger.command("verify")
def ledger_verify(config_file: ConfigFile = None, form: Printed = None) -> None:
    """Compare balances, entries and usage. If they contradict one another, the status is 1."""
    verdict = ask_patiently(config_file, form, _verdict_table, "ledger")
    if not verdict["is_clean"]:
        sys.exit(1)


def _refund_table(answer: dict[str, Any]) -> list[Part]:
    return [Line(f"{tables.number(answer['credits'])} credits were given back."), *tables.movement(answer)]


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
