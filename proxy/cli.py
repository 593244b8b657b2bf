"""`voxgate …`: serve and check here; accounts, keys and engines through the admin handlers."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console

from proxy import banner, config, supervisor, tables, telemetry
from proxy.checking import check_config
from proxy.cli_answers import AsJson, ConfigFile, print_answer
from proxy.cli_doctor import doctor
from proxy.cli_env import env
from proxy.config import Config, ConfigError
from proxy.engines import registry
from proxy.plugin_check import check_plugin
from proxy.runtime import CommandRefused
from proxy.storage.store import StorageFailed

app = typer.Typer(
    name="voxgate",
    help="One OpenAI-compatible speech endpoint in front of every voice you have.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
accounts = typer.Typer(help="Accounts: who pays.", no_args_is_help=True)
keys = typer.Typer(help="Keys: the credentials of an account.", no_args_is_help=True)
app.add_typer(accounts, name="accounts")
app.add_typer(keys, name="keys")
app.add_typer(env, name="env")
app.command()(doctor)

_SPAN = re.compile(r"([1-9]\d*)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def main() -> None:
    """The console script: failures are one line on stderr and a status of 1."""
    telemetry.configure_logs("cli", logging.WARNING)
    try:
        app()
    except (ConfigError, CommandRefused, StorageFailed) as error:
        Console(stderr=True).print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


@app.command()
def serve(
    config_file: ConfigFile = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="How many workers; 1 in this version.")] = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    telemetry.configure_logs("supervisor")
    given = {"host": host, "port": port, "workers": workers}
    server = {key: value for key, value in given.items() if value is not None}

    def read() -> Config:
        return config.load(config_file, server=server)

    def announce(base_url: str, dev_key: str | None) -> None:
        print(banner.text(base_url, dev_key), flush=True)  # noqa: T201 - the one thing printed, for a person

    sys.exit(supervisor.serve(read(), read, registry.load(), announce))


@app.command()
def check(
    config_file: ConfigFile = None,
    plugin: Annotated[
        Path | None, typer.Option(help="A folder with a plugin: try that, installed or not.")
    ] = None,
    voice: Annotated[str | None, typer.Option(help="The voice to try the plugin's engines with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Validate the configuration whole, start nothing, and print what would be served; or try a plugin."""
    if plugin is not None:
        # Its settings are the defaults, unless a file was named.
        given = config.load(config_file) if config_file else None
        findings = list(check_plugin(plugin, given, voice))
    else:
        findings = check_config(config.load(config_file), registry.load())
    print_answer(findings, as_json, tables.check)
    if any(not finding.ok for finding in findings):
        sys.exit(1)


@app.command()
def engines(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the engines with their state and models; without a server, what the config names."""
    loaded = config.load(config_file)

    if supervisor.is_running(loaded):
        print_answer(_answer(loaded, "GET", "engines"), as_json, tables.engines)
    else:
        findings = [f for f in check_config(loaded, registry.load()) if f.kind in ("engine", "plugin")]
        print_answer(findings, as_json, tables.check)


@accounts.command("create")
def accounts_create(
    name: str, plan: str = "free", config_file: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Make an account."""
    _ask(config_file, as_json, tables.account, "POST", "accounts", {"name": name, "plan": plan})


@accounts.command("list")
def accounts_list(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """List all accounts, closed ones among them."""
    _ask(config_file, as_json, tables.accounts, "GET", "accounts")


@accounts.command("show")
def accounts_show(account: str, config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Show one account, by id or name, with its keys."""
    _ask(config_file, as_json, tables.account, "GET", _path("accounts", account))


@accounts.command("set-plan")
def accounts_set_plan(
    account: str, plan: str, config_file: ConfigFile = None, as_json: AsJson = False
) -> None:
    """Change an account's plan."""
    _ask(config_file, as_json, tables.account, "POST", _path("accounts", account), {"plan": plan})


@accounts.command("close")
def accounts_close(account: str, config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Close an account: its keys stop working, its usage stays."""
    _ask(config_file, as_json, tables.account, "DELETE", _path("accounts", account))


@keys.command("create")
def keys_create(
    account: Annotated[str, typer.Option(help="The account, by id or name.")],
    role: Annotated[str, typer.Option(help="speech or admin.")] = "speech",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    expires: Annotated[str, typer.Option(help="A span such as 12h, 30d or 52w; never, if not given.")] = "",
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once."""
    body = {"account": account, "role": role, "name": name, "expires_in_s": _span_s(expires)}
    _ask(config_file, as_json, tables.new_key, "POST", "keys", body)


@keys.command("list")
def keys_list(
    account: Annotated[str | None, typer.Option(help="Only this account's.")] = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """List keys; their secrets are not kept."""
    _ask(config_file, as_json, tables.keys, "GET", "keys", account=account)


@keys.command("revoke")
def keys_revoke(key: str, config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Make a key, by its id, dead for good."""
    _ask(config_file, as_json, tables.key, "DELETE", _path("keys", key))


@keys.command("rotate")
def keys_rotate(key: str, config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """Replace a key by a new one of the same account, role, name and expiry."""
    _ask(config_file, as_json, tables.new_key, "POST", _path("keys", key) + "/rotate")


def _path(kind: str, name: str) -> str:
    # Quoted: an account may be named "50/50", and "ada?" must not become "ada". What a path would lose
    # even so is refused, before it means another one.
    if not name.strip("./") or name.endswith("/"):
        raise CommandRefused(f"{name!r} names none of the {kind}; give an id, see voxgate {kind} list")
    return f"{kind}/{quote(name, safe='')}"


def _ask(
    config_file: Path | None,
    as_json: bool,
    show: Callable[[Any], object],
    method: str,
    path: str,
    body: Any = None,
    **query: str | None,
) -> None:
    print_answer(_answer(config.load(config_file), method, path, body, **query), as_json, show)


def _answer(loaded: Config, method: str, path: str, body: Any = None, **query: str | None) -> Any:
    # Imported here: it brings the whole worker, which would double the memory of the supervisor.
    from proxy.admin_client import admin_client

    async def ask() -> Any:
        async with admin_client(loaded) as client:
            return await client.ask(method, path, body, **query)

    return asyncio.run(ask())


def _span_s(text: str) -> int | None:
    if not text:
        return None
    match = _SPAN.fullmatch(text)
    if match is None:
        raise CommandRefused(
            f"--expires: {text!r} is not a span; write a number and s, m, h, d or w, as in 30d"
        )
    return int(match[1]) * _SECONDS[match[2]]
