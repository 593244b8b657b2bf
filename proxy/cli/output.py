"""What all commands share: their common options, and how an answer is printed for a person or a program."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="The config file; else VOXGATE_CONFIG, else ./config.toml.")
]
_PIPED_WIDTH = 400

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def print_answer(value: Any, as_json: bool, show: Callable[[Any], object]) -> None:
    if as_json:
        print(json.dumps(value, indent=2))  # noqa: T201 - a command's answer
    else:
        # Piped, a line stays a line: what is cut into columns can be neither copied nor searched.
        Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(show(value), soft_wrap=True)
