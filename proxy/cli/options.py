"""Options that several commands have, and how the numbers and spans in options are read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from proxy.errors import CommandRefused

ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="The config file; else VOXGATE_CONFIG, else ./config.toml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Limit = Annotated[int | None, typer.Option(help="How many, 1 to 1000; 100 if not given.")]
Since = Annotated[str | None, typer.Option(help="Not before this day or time, UTC: 2026-01-31.")]
OfAccount = Annotated[str | None, typer.Option("--account", help="Only this account's, by id or name.")]

_CREDITS = re.compile(r"-?\d{1,10}(\.\d{1,6})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,10}", re.ASCII)
_SPAN = re.compile(r"([1-9]\d*)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def credits_of(text: str, option: str) -> float:
    """For JSON, which has the same digits again; raises CommandRefused."""
    if not _CREDITS.fullmatch(text):
        raise CommandRefused(f"{option}: {text!r} is not a number of credits, with up to 6 decimals")
    return float(text) if "." in text else int(text)


def whole(text: str, option: str) -> int:
    """Raises CommandRefused."""
    if not _WHOLE.fullmatch(text):
        raise CommandRefused(f"{option}: {text!r} is neither a whole number nor none")
    return int(text)


def span_s(text: str) -> int | None:
    """None where there is none; raises CommandRefused."""
    if not text:
        return None
    match = _SPAN.fullmatch(text)
    if match is None:
        raise CommandRefused(
            f"--expires: {text!r} is not a span; write a number and s, m, h, d or w, as in 30d"
        )
    return int(match[1]) * _SECONDS[match[2]]
