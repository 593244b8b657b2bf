"""`voxgate voices …`: saved voices of accounts and of everybody."""

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

voices = typer.Typer(help="Saved voices.", no_args_is_help=True)


@voices.command("list")
def voices_list(account: OfAccount = None, config_file: ConfigFile = None, as_json: AsJson = False) -> None:
    """List the voices of the configuration, and saved voices."""
    ask_all(config_file, as_json, _list_table, "voices", account=account)


@voices.command("add")
def voices_add(
    name: str,
    cast: Annotated[str, typer.Option(help="The names and their voices: Ana=nova,Ben=onyx.")],
    account: Annotated[str | None, typer.Option(help="The account; else it is everybody's.")] = None,
    description: Annotated[str, typer.Option(help="A description; the search reads it.")] = "",
    tags: Annotated[str, typer.Option(help="Single words for the search: warm,calm.")] = "",
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Save a cast as a voice: it speaks texts such as "[Ana] Hello. [Ben] Hi." with several voices."""
    words = [tag.strip() for tag in tags.split(",") if tag.strip()]
    beside = {"account": account, "description": description, "tags": words}
    body = {"name": name, "cast": cast_of(cast), **beside}
    ask(config_file, as_json, _row_table, "POST", "voices", body)


@voices.command("delete")
def voices_delete(
    voice: str,
    account: Annotated[
        str | None, typer.Option(help="The account of a voice that is named; else it is everybody's.")
    ] = None,
    config_file: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Delete a saved voice, by its id or its name."""
    ask(config_file, as_json, _deletion, "DELETE", path("voices", voice), account=account)


def cast_of(text: str) -> dict[str, str]:
    """Read names and their voices. Raise CommandRefused."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not pairs or not all(who.strip() and voice.strip() for who, _, voice in pairs):
        raise CommandRefused(f"--cast: {text!r} has no name with a voice; write Ana=nova,Ben=onyx")
    return {who.strip(): voice.strip() for who, _, voice in pairs}


def _list_table(answer: dict[str, Any]) -> RenderableType:
    configured = (
        (
            row["name"],
            "config",
            "",
            row["language"] or "",
            row["gender"] or "",
            _speakers(row["cast"], row["engines"]),
        )
        for row in answer["configured"]
    )
    saved = (
        (row["name"], row["account"] or "everybody", row["id"], "", "", _speakers(row["cast"], []))
        for row in answer["data"]
    )
    return grid(("name", "whose", "id", "language", "gender", "speaks with"), [*configured, *saved])


def _speakers(cast: dict[str, str], engines: list[str]) -> str:
    return ", ".join(engines or (f"{who}: {voice}" for who, voice in cast.items()))


def _row_table(row: dict[str, Any]) -> Table:
    return grid(
        ("id", "name", "whose", "speaks with"),
        [(row["id"], row["name"], row["account"] or "everybody", _speakers(row["cast"], []))],
    )


def _deletion(answer: dict[str, Any]) -> RenderableType:
    return Text(f"{answer['id']} is gone.")
