"""`voxgate route explain`: the engines that would speak a request, and the result of every filter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.cli.admin_requests import show_answer
from proxy.cli.options import ConfigFile, Printed
from proxy.commands.command import AdminRequest
from proxy.commands.options import read_named_voices
from proxy.commands.tables import Grid, Line, Part
from proxy.errors import CommandRefused

route = typer.Typer(no_args_is_help=True, help="The engines that speak a request.")

_NO_ROUTE: dict[str, list[Any]] = {"post": []}
_SOURCES = {
    "request": "the request names it",
    "voice": "the voice speaks it",
    "script": "the script of the text",
    "detected": "detected",
    "default": "no other source",
}


@route.command()
def explain(
    text: Annotated[str, typer.Option(help="The text.")],
    voice: Annotated[str | None, typer.Option(help="A voice; else the default voice.")] = None,
    cast: Annotated[
        str | None, typer.Option(help="Several voices, with the names in the text: Ana=nova,Ben=onyx.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A model; else the default model.")] = None,
    language: Annotated[str | None, typer.Option(help="The language that the request names.")] = None,
    emotion: Annotated[str | None, typer.Option(help="The emotion that the request names.")] = None,
    key_of: Annotated[
        str | None,
        typer.Option(metavar="ACCOUNT", help="Explain it for a key of this account; else without a plan."),
    ] = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Show which engines would speak a request, and every filter. Nothing is spoken or charged."""
    # These imports are slow, and `voxgate --help` does not need them.
    from proxy.config.server_section import server_of
    from proxy.file_store import data_folder

    if not data_folder.is_held(Path(server_of(config_file).data)):
        # Only an engine knows what it speaks, and only a server has engines.
        raise CommandRefused("no server runs here, so no engine can answer; start it: voxgate serve")
    if voice is not None and cast is not None:
        raise CommandRefused("--voice and --cast: use only one of them")
    speaks = voice if cast is None else {"cast": read_named_voices(cast)}
    fields = {"input": text, "voice": speaks, "model": model, "language": language, "emotion": emotion}
    fields |= {"account": key_of}
    body = {name: value for name, value in fields.items() if value is not None}
    show_answer(AdminRequest("POST", "route/explain", body), config_file, form, _explanation)


def _explanation(answer: dict[str, Any]) -> list[Part]:
    return [line for part in answer["parts"] for line in _part_lines(part)]


def _part_lines(part: dict[str, Any]) -> list[Part]:
    route_language = part["route"]["language"] if part["route"] else "none"
    lines: list[Part] = [
        Line(f"language: {part['language']} ({_SOURCES[part['source']]})"),
        Line(f"voice: {part['voice']}"),
        *([Line(f"emotion: {part['emotion'] or 'none'}")] if "emotion" in part else []),
        Line(f"route: {route_language}"),
        *(Line(_post_step_line(step)) for step in (part["route"] or _NO_ROUTE)["post"]),
        *(Line(f"note: {note}", "yellow") for note in part["notes"]),
        _models_table(part),
    ]
    if (error := part["error"]) is not None:
        lines.append(Line(f"{error['status']} {error['code']}: {error['message']}", "red"))
    return lines


def _post_step_line(step: dict[str, Any]) -> str:
    """Return a line for a post-step: its use and price, or the reason why it is not used."""
    when = f" when {step['when']}" if step["when"] else ""
    if not step["is_used"]:
        return f"post-step {step['engine']} as {step['voice']}{when}: not used, {step['reason']}"
    price = step["price"]
    cost = "" if price is None else f", {price['credits']:g} credits a {price['per']} more"
    return f"post-step {step['model']} as {step['voice']}{when}: used{cost}"


def _models_table(part: dict[str, Any]) -> Grid:
    """Show the models of a part of a request in their order, with the reason why one is left out."""
    candidates = {row["model"]: (number, row) for number, row in enumerate(part["candidates"], 1)}
    rows = []
    for row in part["models"]:
        number, candidate = candidates.get(row["model"], ("", {"voice": "", "front_end": ""}))
        why = f"{row['refused_by']}: {row['reason']}" if row["refused_by"] else ""
        rows.append((str(number), row["model"], candidate["voice"], candidate["front_end"], why))
    return Grid(("", "model", "voice", "front-end", "why not"), rows)
