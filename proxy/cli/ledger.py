"""`voxgate ledger …`: an account's entries, refunds, and the check of the books."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from proxy.commands import tables
from proxy.commands.command import Ask, Group, path
from proxy.commands.options import Account, Limit, credits_of
from proxy.commands.tables import Grid, Line, Part

LEDGER = Group("ledger", "The ledger: every movement of credits.")


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


@LEDGER.command("entries", tables.entries)
def ledger_entries(
    account: Account,
    limit: Limit = None,
    after: Annotated[str | None, typer.Option(help="The id of the last entry on the previous page.")] = None,
) -> Ask:
    """List the movements of an account's credits, the newest first."""
    return Ask("GET", path("accounts", account, "entries"), query={"limit": limit, "after": after})


@LEDGER.command("refund", _refund_table)
def ledger_refund(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="The id of the request (req_…).")],
    reason: Annotated[str, typer.Option(help="Why, for the entries and the audit.")],
    credits: Annotated[str, typer.Option(help="A part of the charge; else all of it.")] = "",
) -> Ask:
    """Refund the charge of a request, once."""
    body = {"credits": credits_of(credits, "--credits") if credits else None, "reason": reason}
    return Ask("POST", path("requests", request, "refund"), body)


@LEDGER.command("verify", _verdict_table)
def ledger_verify() -> Ask:
    """Compare balances, entries and usage. If they contradict one another, the status is 1."""
    return Ask("GET", "ledger", is_long=True, status=lambda verdict: 0 if verdict["is_clean"] else 1)
