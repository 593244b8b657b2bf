"""`voxgate keys …`: the credentials of an account."""

from __future__ import annotations

import shlex
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from policies.limits import OF_KEYS
from proxy.cli import tables
from proxy.cli.admin_requests import ask, ask_all, path
from proxy.cli.limit_options import limit_options
from proxy.cli.options import ConfigFile, Key, OfAccount, Printed, Sure, be_sure, span_s
from proxy.cli.rotation import keys_rotate_mark, keys_rotate_master, keys_rotate_receipt
from proxy.cli.tables import Line, Part

keys = typer.Typer(help="Keys: the credentials of an account; the server's own.", no_args_is_help=True)
keys.command("rotate-master")(keys_rotate_master)
keys.command("rotate-mark")(keys_rotate_mark)
keys.command("rotate-receipt")(keys_rotate_receipt)


class _OfAnAccount(TyperCommand):
    """A command that says what to type if the account comes without its option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = args[0] if args and not args[0].startswith("-") else None
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter:
            if first is None or "account" in ctx.params:
                raise
            typed = f"{ctx.command_path} --account {shlex.quote(first)}"
            raise typer.BadParameter(f"name the account behind it: {typed}", param_hint="--account") from None


@keys.command("create", cls=_OfAnAccount)
@limit_options(OF_KEYS, int | None, None, lambda row: f"Its own {row.what}, fewer than its account's.")
def keys_create(
    account: Annotated[str, typer.Option(help="The account, by id or name.")],
    role: Annotated[str, typer.Option(help="speech or admin.")] = "speech",
    name: Annotated[str, typer.Option(help="The purpose of the key.")] = "",
    expires: Annotated[str, typer.Option(help="A time such as 12h, 30d or 52w; else never.")] = "",
    pace: Annotated[str | None, typer.Option(help="live: its speech is sent as it is heard.")] = None,
    *,
    limits: dict[str, int | None],
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Make a key and print it. It is shown only once."""
    caps = limits if pace is None else {**limits, "pace": pace}
    body = {"account": account, "role": role, "name": name, "expires_in_s": span_s(expires), "caps": caps}
    ask(config_file, form, _new_key, "POST", "keys", body)


@keys.command("list")
def keys_list(account: OfAccount = None, config_file: ConfigFile = None, form: Printed = None) -> None:
    """List keys, without their secrets, which are not kept."""
    ask_all(config_file, form, tables.keys, "keys", account=account)


@keys.command("revoke")
def keys_revoke(
    key: Key, is_sure: Sure = False, config_file: ConfigFile = None, form: Printed = None
) -> None:
    """Revoke a key, by its id, for good."""
    where = path("keys", key)
    be_sure(is_sure, f"Revoke the key {key} for good?")
    ask(config_file, form, _key_table, "DELETE", where)


@keys.command("rotate")
def keys_rotate(key: Key, config_file: ConfigFile = None, form: Printed = None) -> None:
    """Replace a key by another like it. Account, role, name, expiry and caps stay."""
    ask(config_file, form, _new_key, "POST", path("keys", key, "rotate"))


def _key_table(row: dict[str, Any]) -> list[Part]:
    return tables.keys({"data": [row]})


def _new_key(row: dict[str, Any]) -> list[Part]:
    return [
        Line(row["key"], "bold"),
        Line("Shown only this once; only its hash is kept.", "dim"),
        *_key_table(row),
    ]
