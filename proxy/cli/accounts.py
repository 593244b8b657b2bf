"""`voxgate accounts …`: the accounts that pay, their plans and their credits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from policies.limits import AGREED_LIMITS
from policies.plans import AgreedTerms
from proxy.commands import tables
from proxy.commands.command import AdminRequest, Group, admin_path
from proxy.commands.options import (
    Account,
    Credits,
    Sure,
    limit_options,
    read_credits,
    read_whole_number,
    require_yes,
)
from proxy.errors import CommandRefused

ACCOUNTS = Group(
    "accounts",
    "Accounts, their plans and credits.",
    instead=dict.fromkeys(
        ("disable", "delete", "block", "ban", "remove", "lock"), "suspend, which can be undone, or close"
    ),
)

# A number below zero must not be read as an option.
_SIGNED = {"ignore_unknown_options": True}
_NONE = "none"
_AGREED_FORM = 'write one such as {"rpm": 60}, or --agreed none to remove what is agreed'

_agreed_limit_options = limit_options(
    AGREED_LIMITS, str, "", lambda row: f"Agreed {row.what}; `none` removes the agreement."
)
_Reason = Annotated[str, typer.Option(help="Why, for the audit.")]
_AgreedFile = Annotated[
    Path | None,
    typer.Option(
        help="A JSON file with the agreements, in the form of the HTTP API: engines, prices, budgets. "
        "`none` removes all of them."
    ),
]


@ACCOUNTS.command("create", tables.show_account)
@_agreed_limit_options
def accounts_create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new account.")],
    plan: Annotated[str | None, typer.Option(help="Its plan; else free, or the first plan.")] = None,
    *,
    limits: dict[str, str],
    agreed: _AgreedFile = None,
    begins_data: Annotated[
        bool, typer.Option("--new", help="Begin a server's data in an empty folder.")
    ] = False,
) -> AdminRequest:
    """Make an account."""
    body = {"name": name, "plan": plan, "agreed": _read_agreement(agreed, limits)}
    return AdminRequest("POST", "accounts", body, begins_data=begins_data)


@ACCOUNTS.command("list", tables.show_account_list)
def accounts_list(
    find: Annotated[
        str | None, typer.Option(help="Only those with this in a name, or at the beginning of an address.")
    ] = None,
) -> AdminRequest:
    """List accounts with their people, use, payments and costs. Closed ones too."""
    return AdminRequest("GET", "accounts", query={"find": find}, pages="all")


@ACCOUNTS.command("show", tables.show_account)
def accounts_show(account: Account) -> AdminRequest:
    """Show one account, by id or name, with its balance and its keys."""
    return AdminRequest("GET", admin_path("accounts", account))


@ACCOUNTS.command("set-plan", tables.show_account)
@_agreed_limit_options
def accounts_set_plan(
    account: Account,
    plan: Annotated[str | None, typer.Argument(metavar="PLAN", help="The new plan.")] = None,
    plan_option: Annotated[
        str | None, typer.Option("--plan", help="The new plan, as an option like that of create.")
    ] = None,
    *,
    limits: dict[str, str],
    agreed: _AgreedFile = None,
) -> AdminRequest:
    """Change an account's plan, or what is agreed. Older agreements stay, unless new ones replace them."""
    if plan is not None and plan_option is not None:
        raise CommandRefused("PLAN: name the plan once")
    changes = {"plan": plan or plan_option, "agreed": _read_agreement(agreed, limits)}
    body = {name: value for name, value in changes.items() if value is not None}
    if not body:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in AGREED_LIMITS)
        raise CommandRefused(f"PLAN: name a plan, or what is agreed: {options}, --agreed")
    return AdminRequest("POST", admin_path("accounts", account), body)


@ACCOUNTS.command("grant", tables.show_entry, context_settings=_SIGNED)
def accounts_grant(
    account: Account,
    credits: Credits,
    reference: Annotated[
        str | None,
        typer.Option(help="Your name for the payment. A second grant with the same name is not made."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the entry and the audit.")] = "",
) -> AdminRequest:
    """Give credits on top of the allowance. They stay until they are spent."""
    if credits.startswith("-"):
        raise CommandRefused("CREDITS: a grant is above 0; to remove credits, use voxgate accounts correct")
    body = {"credits": read_credits(credits, "CREDITS"), "reference": reference, "reason": reason}
    return AdminRequest("POST", admin_path("accounts", account, "grants"), body)


@ACCOUNTS.command("correct", tables.show_entry, context_settings=_SIGNED)
def accounts_correct(account: Account, credits: Credits, reason: _Reason) -> AdminRequest:
    """Add credits, or remove some (-5), to correct a mistake."""
    body = {"credits": read_credits(credits, "CREDITS"), "reason": reason}
    return AdminRequest("POST", admin_path("accounts", account, "corrections"), body)


@ACCOUNTS.command("reset-cycle", tables.show_entry)
def accounts_reset_cycle(account: Account, reason: _Reason) -> AdminRequest:
    """Give back what an account spent of its allowance in this cycle."""
    return AdminRequest("POST", admin_path("accounts", account, "reset-cycle"), {"reason": reason})


@ACCOUNTS.command("suspend", tables.show_account)
def accounts_suspend(account: Account, reason: _Reason) -> AdminRequest:
    """Suspend an account at once. Its keys are refused and its jobs wait; nothing of it is deleted."""
    return AdminRequest("POST", admin_path("accounts", account, "suspend"), {"reason": reason})


@ACCOUNTS.command("resume", tables.show_account)
def accounts_resume(account: Account, reason: _Reason) -> AdminRequest:
    """End the suspension of an account. Its keys work again, and its jobs go on."""
    return AdminRequest("POST", admin_path("accounts", account, "resume"), {"reason": reason})


@ACCOUNTS.command("close", tables.show_account)
def accounts_close(account: Account, is_sure: Sure = False) -> AdminRequest:
    """Close an account. Its keys stop working, its voices and lexicons are deleted, its usage stays."""
    question = f"Close the account {account} for good, and delete its voices and lexicons?"
    path = admin_path("accounts", account)
    require_yes(is_sure)
    return AdminRequest("DELETE", path, question="" if is_sure else question)


def _read_agreement(file: Path | None, limits: dict[str, str]) -> dict[str, Any] | None:
    """Return the agreements of the file. Options replace those of the same name."""
    agreed = _read_agreed_file(file) if file else {}
    for name, text in limits.items():
        read = read_credits if AGREED_LIMITS[name].unit == "credits" else read_whole_number
        if text:
            agreed[name] = None if text == _NONE else read(text, f"--{name.replace('_', '-')}")
    return agreed or None


def _read_agreed_file(file: Path) -> dict[str, Any]:
    if str(file) == _NONE:
        return dict.fromkeys(AgreedTerms.__struct_fields__)
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CommandRefused(f"--agreed: {file} cannot be read: {error}; {_AGREED_FORM}") from None
    if not isinstance(found, dict) or not found:
        raise CommandRefused(f"--agreed: {file} must have a JSON object in it; {_AGREED_FORM}")
    return found
