"""`voxgate …`: serve, check and engines; all other commands are in proxy/cli."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import replace
from rich.console import Console

from proxy import __version__, telemetry
from proxy.cli import banner, tables
from proxy.cli.accounts import accounts
from proxy.cli.admin_requests import answer
from proxy.cli.doctor import doctor
from proxy.cli.env import env
from proxy.cli.keys import keys
from proxy.cli.ledger import ledger
from proxy.cli.lexicons import lexicons
from proxy.cli.output import AsJson, ConfigFile, print_answer
from proxy.cli.reports import audit, plans, usage
from proxy.cli.route import route
from proxy.cli.voices import voices
from proxy.config import config_toml
from proxy.config.config_toml import Config, ConfigError
from proxy.diagnosis import probes
from proxy.diagnosis.config_check import check_config
from proxy.diagnosis.plans_in_use import missing_plans
from proxy.diagnosis.plugin_check import check_plugin
from proxy.diagnosis.text_check import front_end_remarks
from proxy.engines import registry
from proxy.errors import CommandRefused
from proxy.processes import supervisor
from proxy.storage.store import StorageFailed

app = typer.Typer(
    name="voxgate",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(accounts, name="accounts")
app.add_typer(keys, name="keys")
app.add_typer(ledger, name="ledger")
app.add_typer(lexicons, name="lexicons")
app.add_typer(voices, name="voices")
app.add_typer(env, name="env")
app.add_typer(route, name="route")
for command in (usage, plans, audit, doctor):
    app.command()(command)


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        print(f"voxgate {__version__}")  # noqa: T201 - the answer
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One OpenAI-compatible speech endpoint in front of every voice you have."""


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
    workers: Annotated[
        int | None, typer.Option(help="How many workers; more than one need PostgreSQL and Redis.")
    ] = None,
) -> None:
    """Run the server until Ctrl-C or SIGTERM."""
    telemetry.configure_logs("supervisor")
    given = {"host": host, "port": port, "workers": workers}
    server = {key: value for key, value in given.items() if value is not None}

    plugins = registry.load()

    def read() -> Config:
        read = config_toml.load(config_file, server=server)
        return replace(read, warnings=(*read.warnings, *front_end_remarks(read, plugins)))

    def announce(base_url: str, dev_key: str | None) -> None:
        print(banner.text(base_url, dev_key), flush=True)  # noqa: T201 - the one thing printed, for a person

    sys.exit(supervisor.serve(read(), read, plugins, announce))


@app.command()
def check(
    config_file: ConfigFile = None,
    plugin: Annotated[
        Path | None, typer.Option(help="A folder with a plugin: try that, installed or not.")
    ] = None,
    voice: Annotated[str | None, typer.Option(help="The voice to try the plugin's engines with.")] = None,
    live: Annotated[
        bool,
        typer.Option("--live", help="Have every cloud engine speak a sentence too: the providers bill you."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Validate the configuration whole, start nothing, and print what would be served; or try a plugin."""
    if plugin is not None:
        # Its settings are the defaults, unless a file was named.
        given = config_toml.load(config_file) if config_file else None
        findings = list(check_plugin(plugin, given, voice))
    else:
        loaded, plugins = config_toml.load(config_file), registry.load()
        findings = check_config(loaded, plugins, probes.ask(loaded, plugins)) + missing_plans(loaded)
        if live:
            # Imported here: it brings the whole worker.
            from proxy.diagnosis.live_check import check_live

            findings += asyncio.run(check_live(loaded, plugins))
    print_answer(findings, as_json, tables.check)
    if any(not finding.ok for finding in findings):
        sys.exit(1)


@app.command()
def engines(config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the engines with their state and models; without a server, what the config names."""
    loaded = config_toml.load(config_file)

    if supervisor.is_running(loaded):
        print_answer(answer(loaded, "GET", "engines"), as_json, tables.engines)
    else:
        findings = [f for f in check_config(loaded, registry.load()) if f.kind in ("engine", "plugin")]
        print_answer(findings, as_json, tables.check)
