"""`voxgate users …`: people who sign in."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from proxy.commands.command import AdminRequest, FeatureCommands, Group, admin_path
from proxy.commands.options import OfAccount, Sure
from proxy.commands.tables import SHOW_GONE, Line, Part, make_grid, show_line

USERS = Group("users", "People who sign in.")

_User = Annotated[str, typer.Argument(metavar="USER", help="A user, by its id (usr_…).")]


def _role(row: dict[str, Any]) -> str:
    return "operator" if row["is_operator"] else "user"


def _list_table(answer: dict[str, Any]) -> list[Part]:
    names = ("address", "account", "language", "created", "id")
    return [make_grid(answer, {**{name: name for name in names}, "role": _role})]


def _invitation(answer: dict[str, Any]) -> list[Part]:
    until = f"It works once, until {answer['expires']}, and is not shown again."
    return [Line(answer["link"]), Line(until, "dim")]


@USERS.command("invite", _invitation)
def users_invite(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The person's mail address.")],
    account: Annotated[str | None, typer.Option(help="The account to join; a new one without it.")] = None,
    is_operator: Annotated[bool, typer.Option("--operator", help="The person may call /admin.")] = False,
) -> AdminRequest:
    """Print a link with which a person signs in, once."""
    return AdminRequest("POST", "users", {"address": address, "account": account, "operator": is_operator})


@USERS.command("list", _list_table)
def users_list(account: OfAccount = None) -> AdminRequest:
    """List users, the newest first."""
    return AdminRequest("GET", "users", query={"account": account}, pages="all")


@USERS.command("remove", SHOW_GONE)
def users_remove(user: _User, is_sure: Sure = False) -> AdminRequest:
    """Erase a user. Its account, its credits and its jobs stay."""
    question = "" if is_sure else f"Erase the user {user} for good?"
    return AdminRequest("DELETE", admin_path("users", user), question=question, must_exist=False)


@USERS.command("sign-out", show_line("Sessions of {id} that ended: {sessions}."))
def users_sign_out(user: _User) -> AdminRequest:
    """End all sessions of a user."""
    return AdminRequest("POST", admin_path("users", user, "sign-out"))


COMMANDS = FeatureCommands(groups=(USERS,))
