"""`voxgate keys …`: the credentials of an account, and the change of the master key.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from policies.limits import KEY_LIMITS
from proxy.cli.admin_requests import data_folder_of
from proxy.cli.options import ConfigFile, Printed
from proxy.commands import tables
from proxy.commands.command import AdminRequest, Group, admin_path
from proxy.commands.options import Key, OfAccount, Sure, limit_options, read_span_s
from proxy.commands.tables import Line, Part, print_answer

if TYPE_CHECKING:
    from rich.status import Status

    from proxy.processes.admin_client import AdminClient

_STEP_SILENCE_S = 600.0


def keys_rotate_master(config_file: ConfigFile = None, form: Printed = None) -> None:
    """Let the newest master key seal everything. It goes on where it was ended."""
    import asyncio

    from rich.console import Console

    from proxy.processes.admin_client import admin_client

    async def rotate(status: Status) -> dict[str, Any]:
        async with admin_client(data_folder_of(config_file), _STEP_SILENCE_S) as client:
            return await _rotate_in_steps(client, status)

    with Console(stderr=True, quiet=form is True).status("wrapping keys anew") as status:
        rotated = asyncio.run(rotate(status))
    print_answer(rotated, form, _show_rotation)
    if rotated["damaged"] or rotated["missing"]:
        sys.exit(1)


async def _rotate_in_steps(client: AdminClient, status: Status) -> dict[str, Any]:
    rewrapped, damaged, step = 0, 0, {}
    is_done = False
    while not is_done:
        step = await client.request_json("POST", "vault/rotations", {"skip": damaged})
        rewrapped, damaged = rewrapped + step["rewrapped"], damaged + step["damaged"]
        status.update(f"{rewrapped} keys wrapped anew, {step['left'] - damaged} left")
        # Rows that another run wraps at the same moment are in neither number, and the next step sees them.
        is_done = step["left"] <= damaged or not (step["rewrapped"] or step["damaged"])
    return {**step, "rewrapped": rewrapped, "damaged": damaged}


def _show_rotation(answer: dict[str, Any]) -> list[Part]:
    if answer["master"] is None:
        return [Line("Nothing is sealed yet, so there is nothing to do.")]
    parts: list[Part] = [
        Line(f"{answer['rewrapped']} keys were wrapped anew by master key {answer['master']}.")
    ]
    if answer["damaged"]:
        parts.append(Line(f"{answer['damaged']} rows are damaged, and stay as they are.", "red"))
    for missing in answer["missing"]:
        what = f"{missing['rows']} rows need master key {missing['id']}: name it in vault.old_master_keys."
        parts.append(Line(what, "red"))
    if len(parts) == 1:
        parts.append(Line("Nothing needs the old master keys any more. Backups from before today do.", "dim"))
    return parts


KEYS = Group(
    "keys",
    "Keys: the credentials of an account; the server's own.",
    typer_functions={"rotate-master": keys_rotate_master},
)


class _AccountCommand(TyperCommand):
    """A command whose error shows the right line if the account is typed without its option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = args[0] if args and not args[0].startswith("-") else None
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter:
            if first is None or "account" in ctx.params:
                raise
            right_command = f"{ctx.command_path} --account {shlex.quote(first)}"
            raise typer.BadParameter(
                f"name the account behind it: {right_command}", param_hint="--account"
            ) from None


def _show_key(row: dict[str, Any]) -> list[Part]:
    return tables.show_keys({"data": [row]})


def _show_new_key(row: dict[str, Any]) -> list[Part]:
    return [
        Line(row["key"], "bold"),
        Line("Shown only this once; only its hash is kept.", "dim"),
        *_show_key(row),
    ]


@KEYS.command("create", _show_new_key, cls=_AccountCommand)
@limit_options(KEY_LIMITS, int | None, None, lambda row: f"Its own {row.what}, fewer than its account's.")
def keys_create(
    account: Annotated[str, typer.Option(help="The account, by id or name.")],
    role: Annotated[str, typer.Option(help="speech, admin, or host for voxgate host.")] = "speech",
    name: Annotated[str, typer.Option(help="The purpose of the key.")] = "",
    expires: Annotated[str, typer.Option(help="A time such as 12h, 30d or 52w; else never.")] = "",
    pace: Annotated[str | None, typer.Option(help="live: its speech is sent as it is heard.")] = None,
    cluster: Annotated[str | None, typer.Option(help="The cluster that a host's key opens.")] = None,
    hosts: Annotated[int | None, typer.Option(help="The most hosts with this key; else 16.")] = None,
    *,
    limits: dict[str, int | None],
) -> AdminRequest:
    """Make a key and print it. It is shown only once."""
    caps = limits if pace is None else {**limits, "pace": pace}
    body = {
        "account": account,
        "role": role,
        "name": name,
        "expires_in_s": read_span_s(expires),
        "caps": caps,
        **({"cluster": cluster} if cluster else {}),
        **({"hosts": hosts} if hosts else {}),
    }
    return AdminRequest("POST", "keys", body)


@KEYS.command("list", tables.show_keys)
def keys_list(account: OfAccount = None) -> AdminRequest:
    """List keys, without their secrets, which are not kept."""
    return AdminRequest("GET", "keys", query={"account": account}, pages="all")


@KEYS.command("revoke", _show_key)
def keys_revoke(key: Key, is_sure: Sure = False) -> AdminRequest:
    """Revoke a key, by its id, for good."""
    question = "" if is_sure else f"Revoke the key {key} for good?"
    return AdminRequest("DELETE", admin_path("keys", key), question=question, must_exist=False)


@KEYS.command("rotate", _show_new_key)
def keys_rotate(key: Key) -> AdminRequest:
    """Replace a key by another like it. Account, role, name, expiry and caps stay."""
    return AdminRequest("POST", admin_path("keys", key, "rotate"))
