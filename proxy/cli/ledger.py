"""`voxgate ledger …`: an account's entries, refunds, and whether the books agree."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from proxy.cli import tables
from proxy.cli.admin_requests import ask, ask_patiently, path
from proxy.cli.options import AsJson, ConfigFile, Limit, credits_of

ledger = typer.Typer(help="The ledger: every movement of credits.", no_args_is_help=True)


@ledger.command("entries")
def ledger_entries(
    account: str,
    limit: Limit = None,
    after: Annotated[str | None, typer.Option(help="The id of the last entry of the page before.")] = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List the movements of an account's credits, the newest first."""
    where = path("accounts", account, "entries")
    ask(config_file, as_json, tables.entries, "GET", where, limit=limit, after=after)


@ledger.command("refund")
def ledger_refund(
    request: Annotated[str, typer.Argument(help="The id of the request (req_…).")],
    reason: Annotated[str, typer.Option(help="Why, for the entries and the audit.")],
    credits: Annotated[str, typer.Option(help="A part of what was charged; all of it, if not given.")] = "",
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Give back what a request was charged, once."""
    body = {"credits": credits_of(credits, "--credits") if credits else None, "reason": reason}
    ask(config_file, as_json, _refund_table, "POST", path("requests", request, "refund"), body)


@ledger.command("verify")
def ledger_verify(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Compare balances, entries and usage with one another; the status is 1 where they contradict."""
    verdict = ask_patiently(config_file, as_json, _verdict_table, "ledger")
    if not verdict["is_clean"]:
        sys.exit(1)


def _refund_table(answer: dict[str, Any]) -> RenderableType:
    return Group(
        Text(f"{tables.number(answer['credits'])} credits were given back."), tables.movement(answer)
    )


def _verdict_table(answer: dict[str, Any]) -> RenderableType:
    counted = ", ".join(
        f"{answer[name]} {name.replace('_', ' ')}"
        for name in ("entries", "requests", "balances", "live_holds")
    )
    if answer["is_clean"]:
        return Text(f"The books agree: {counted}.", "green")
    table = tables.table("what must hold", "subject", "found")
    for row in answer["contradictions"]:
        tables.add_row(table, row["check"], row["subject"], row["found"])
    return Group(Text(f"The books contradict one another: {counted}.", "red"), table)
