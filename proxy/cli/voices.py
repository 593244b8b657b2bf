"""`voxgate voices …`: voices that were saved, by accounts and for everybody."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from proxy.cli.admin_requests import ask, ask_all, path
from proxy.cli.options import AsJson, ConfigFile, OfAccount
from proxy.cli.tables import grid
from proxy.errors import CommandRefused

voices = typer.Typer(help="Voices that were saved.", no_args_is_help=True)


@voices.command("list")
def voices_list(account: OfAccount = None, config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the voices of the configuration, and those that were saved."""
    ask_all(config_file, as_json, _listed, "voices", account=account)


@voices.command("add")
def voices_add(
    name: str,
    cast: Annotated[str, typer.Option(help="Who speaks with which voice: Ana=nova,Ben=onyx.")],
    account: Annotated[str | None, typer.Option(help="Whose it is; everybody's, if not given.")] = None,
    description: Annotated[str, typer.Option(help="What it is like; by it, it is found.")] = "",
    tags: Annotated[str, typer.Option(help="The same in single words: warm,calm.")] = "",
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Save a cast as a voice: texts such as "[Ana] Hello. [Ben] Hi." are spoken by several."""
    words = [tag.strip() for tag in tags.split(",") if tag.strip()]
    beside = {"account": account, "description": description, "tags": words}
    body = {"name": name, "cast": cast_of(cast), **beside}
    ask(config_file, as_json, _one, "POST", "voices", body)


@voices.command("delete")
def voices_delete(
    voice: str,
    account: Annotated[
        str | None, typer.Option(help="Whose it is, if it is named; everybody's, if not given.")
    ] = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Take a saved voice, by its id or its name, away."""
    ask(config_file, as_json, _gone, "DELETE", path("voices", voice), account=account)


def cast_of(text: str) -> dict[str, str]:
    """Who speaks with which voice; raises CommandRefused."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not pairs or not all(who.strip() and voice.strip() for who, _, voice in pairs):
        raise CommandRefused(f"--cast: {text!r} names nobody with a voice; write Ana=nova,Ben=onyx")
    return {who.strip(): voice.strip() for who, _, voice in pairs}


def _listed(answer: dict[str, Any]) -> RenderableType:
    configured = (
        (
            row["name"],
            "config",
            "",
            row["language"] or "",
            row["gender"] or "",
            _said(row["cast"], row["engines"]),
        )
        for row in answer["configured"]
    )
    saved = (
        (row["name"], row["account"] or "everybody", row["id"], "", "", _said(row["cast"], []))
        for row in answer["data"]
    )
    return grid(("name", "whose", "id", "language", "gender", "speaks with"), [*configured, *saved])


def _said(cast: dict[str, str], engines: list[str]) -> str:
    return ", ".join(engines or (f"{who}: {voice}" for who, voice in cast.items()))


def _one(row: dict[str, Any]) -> Table:
    return grid(
        ("id", "name", "whose", "speaks with"),
        [(row["id"], row["name"], row["account"] or "everybody", _said(row["cast"], []))],
    )


def _gone(answer: dict[str, Any]) -> RenderableType:
    return Text(f"{answer['id']} is gone.")
