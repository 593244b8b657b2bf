"""Options of nearly every command, and the question before what cannot be undone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli import service_environment
from proxy.commands.tables import Form
from proxy.errors import CommandRefused

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=service_environment.apply,
        help="The config file; else VOXGATE_CONFIG, else ./config.toml, else that of the service.",
    ),
]
Printed = Annotated[Form, typer.Option("--json/--wide", help="Print JSON, or tables with all columns.")]
PluginName = Annotated[str, typer.Argument(metavar="PLUGIN", help="The plugin's name.")]


def asks(is_sure: bool) -> bool:
    """Tell whether a person is there, and did not say that it is sure."""
    return not is_sure and sys.stdin.isatty() and sys.stderr.isatty()


def be_sure(is_sure: bool, question: str) -> None:
    """Ask about what cannot be undone, on a terminal. Raise CommandRefused if the answer is no.

    A script has no terminal, and is not asked: it says what it means.
    """
    if not asks(is_sure):
        return
    if not typer.confirm(question, err=True):
        raise CommandRefused("nothing was changed")
