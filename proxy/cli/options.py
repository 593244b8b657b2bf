"""Options of nearly every command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from proxy.cli import service_environment
from proxy.commands.tables import Form

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
