"""Options of nearly every command, and the environment of the installed service."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from proxy.commands.tables import PrintForm
from proxy.errors import CommandRefused

NAMED_BY = "VOXGATE_SERVICE"
"""This variable may name another unit, or a file of variables."""

_SERVICE_FILES = (
    "/etc/systemd/system/voxgate.service",
    "/usr/lib/systemd/system/voxgate.service",
    "/etc/voxgate/environment",
)
_SETTING = re.compile(r"^(Environment|EnvironmentFile)=(.*)$", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*[#;].*\n?", re.MULTILINE)
_CONTINUED = re.compile(r"\\\n")
_LINE = re.compile(r"^\s*([A-Za-z_]\w*)=(.*)$", re.MULTILINE)


def apply_service_environment(config_file: Path | None) -> Path | None:
    """Add the service's variables that the environment lacks, and return the config file as it was given.

    The unit of the service names its configuration, data folder and runtime folder. Without them a command
    would look at another data folder, and make a new database there.

    Nothing is added if --config, VOXGATE_CONFIG or ./config.toml names another configuration.
    """
    unit = os.environ.get(NAMED_BY)
    files = _SERVICE_FILES if unit is None else (unit,)
    found = next((Path(file) for file in files if os.path.isfile(file)), None)
    if found is None:
        return config_file
    local_file = Path("config.toml")
    chosen = config_file or os.environ.get("VOXGATE_CONFIG") or (local_file if local_file.exists() else None)
    variables = dict(_service_variables(found, is_required=chosen is None))
    unit_config = variables.get("VOXGATE_CONFIG")
    if chosen is None or (unit_config is not None and Path(chosen).resolve() == Path(unit_config).resolve()):
        for name, value in variables.items():
            os.environ.setdefault(name, value)
    return config_file


def _service_variables(file: Path, is_required: bool) -> Iterator[tuple[str, str]]:
    """Yield the variables of a unit with its drop-ins, or of a file of variables. The last one counts."""
    texts = [_read_text(file, is_required, " ")]
    if file.suffix != ".service":
        yield from _variables_in(texts[0])
        return
    texts += [
        _read_text(each, is_required, " ") for each in sorted(file.with_name(f"{file.name}.d").glob("*.conf"))
    ]
    for setting, value in _SETTING.findall("\n".join(texts)):
        if setting == "Environment":
            yield from _variables_in("\n".join(_split_words(file, value, is_required)))
        else:
            # Often only root can read it, since it has secrets. A command reports each secret that it lacks.
            yield from _variables_in(_read_text(Path(value.strip().removeprefix("-")), is_required=False))


def _split_words(unit: Path, value: str, is_required: bool) -> list[str]:
    try:
        return shlex.split(value)
    except ValueError as error:
        if not is_required:
            return []
        raise CommandRefused(
            f"{unit}, the service's environment, cannot be read: {error} in a line Environment=; mend it, "
            "or name a configuration with --config"
        ) from None


def _variables_in(text: str) -> Iterator[tuple[str, str]]:
    for name, value in _LINE.findall(text):
        stripped = value.strip()
        is_quoted = len(stripped) > 1 and stripped[0] == stripped[-1] and stripped[0] in "\"'"
        yield name, stripped[1:-1] if is_quoted else stripped


def _read_text(file: Path, is_required: bool, joint: str = "") -> str:
    """Return a file without its comments. `joint` replaces the end of a line that goes on in the next."""
    try:
        return _CONTINUED.sub(joint, _COMMENT.sub("", file.read_text()))
    except (OSError, ValueError) as error:
        if not is_required:
            return ""
        raise CommandRefused(
            f"{file}, the service's environment, cannot be read: {error}; run the command as the service's "
            "user, or name a configuration with --config"
        ) from None


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=apply_service_environment,
        help="The config file; else VOXGATE_CONFIG, else ./config.toml, else that of the service.",
    ),
]
Printed = Annotated[PrintForm, typer.Option("--json/--wide", help="Print JSON, or tables with all columns.")]
PluginName = Annotated[str, typer.Argument(metavar="PLUGIN", help="The plugin's name.")]
