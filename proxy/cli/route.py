"""`voxgate route explain`: who would speak a request, and what every filter says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from proxy.cli import tables
from proxy.cli.admin_requests import ask
from proxy.cli.options import AsJson, ConfigFile
from proxy.cli.voices import cast_of
from proxy.config import config_toml
from proxy.errors import CommandRefused
from proxy.processes import runtime

route = typer.Typer(no_args_is_help=True, help="Which engine speaks what.")

_SOURCES = {
    "request": "the request says so",
    "voice": "the voice speaks it",
    "script": "its script gives it away",
    "detected": "detected",
    "default": "nothing says another",
}


@route.command()
def explain(
    text: Annotated[str, typer.Option(help="What would be spoken.")],
    voice: Annotated[str | None, typer.Option(help="A voice; the default one if not given.")] = None,
    cast: Annotated[
        str | None, typer.Option(help="Several, with the names that the text has: Ana=nova,Ben=onyx.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A model; the default one if not given.")] = None,
    language: Annotated[str | None, typer.Option(help="What the request says its language is.")] = None,
    key_of: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="As for a key of this account; else no plan is asked."),
    ] = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Tell who would speak a request, and what every filter says. Nothing is spoken, nothing is charged."""
    if not runtime.is_held(_data(config_file)):
        # What an engine speaks, only the engine knows, and only a server has engines.
        raise CommandRefused("no server runs here, so no engine can be asked; start it: voxgate serve")
    if voice is not None and cast is not None:
        raise CommandRefused("--voice and --cast: take one of them")
    speaks = voice if cast is None else {"cast": cast_of(cast)}
    asked = {"input": text, "voice": speaks, "model": model, "language": language, "account": key_of}
    body = {name: value for name, value in asked.items() if value is not None}
    ask(config_file, as_json, _shown, "POST", "route/explain", body)


def _data(config_file: ConfigFile) -> Path:
    return Path(config_toml.load(config_file).data)


def _shown(answer: dict[str, Any]) -> RenderableType:
    return Group(*(line for part in answer["parts"] for line in _part(part)))


def _part(part: dict[str, Any]) -> list[RenderableType]:
    routed = part["route"]["language"] if part["route"] else "none"
    lines: list[RenderableType] = [
        Text(f"language: {part['language']} ({_SOURCES[part['source']]})"),
        Text(f"voice: {part['voice']}"),
        Text(f"route: {routed}"),
        *(Text(f"note: {note}", "yellow") for note in part["notes"]),
        _models_table(part),
    ]
    if (error := part["error"]) is not None:
        lines.append(Text(f"{error['status']} {error['code']}: {error['message']}", "red"))
    return lines


def _models_table(part: dict[str, Any]) -> Table:
    """The models of a part of a request in their order: who would be asked first, and who not at all."""
    table = tables.table("", "model", "voice", "front-end", "why not")
    candidates = {row["model"]: (number, row) for number, row in enumerate(part["candidates"], 1)}
    for row in part["models"]:
        number, candidate = candidates.get(row["model"], ("", {"voice": "", "front_end": ""}))
        why = f"{row['refused_by']}: {row['reason']}" if row["refused_by"] else ""
        tables.add_row(table, str(number), row["model"], candidate["voice"], candidate["front_end"], why)
    return table
