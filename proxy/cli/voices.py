"""`voxgate voices …`: saved voices of accounts and of everybody."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from proxy.cli.admin_requests import ask, ask_all, path
from proxy.cli.options import ConfigFile, OfAccount, Printed
from proxy.cli.tables import Grid, Line, Part, account_names
from proxy.errors import CommandRefused

voices = typer.Typer(help="Saved voices.", no_args_is_help=True)


@voices.command("list")
def voices_list(account: OfAccount = None, config_file: ConfigFile = None, form: Printed = None) -> None:
    """List the voices of the configuration, and saved voices."""
    ask_all(config_file, form, _list_table, "voices", account=account)


@voices.command("add")
def voices_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new voice.")],
    cast: Annotated[str, typer.Option(help="The names and their voices: Ana=nova,Ben=onyx.")],
    account: Annotated[str | None, typer.Option(help="The account; else it is everybody's.")] = None,
    description: Annotated[str, typer.Option(help="A description; the search reads it.")] = "",
    tags: Annotated[str, typer.Option(help="Single words for the search: warm,calm.")] = "",
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Save a cast as a voice. It speaks texts such as "[Ana] Hello. [Ben] Hi." with several voices."""
    words = [tag.strip() for tag in tags.split(",") if tag.strip()]
    beside = {"account": account, "description": description, "tags": words}
    body = {"name": name, "cast": cast_of(cast), **beside}
    ask(config_file, form, _row_table, "POST", "voices", body)


@voices.command("delete")
def voices_delete(
    voice: Annotated[str, typer.Argument(metavar="VOICE", help="A saved voice, by id or name.")],
    account: Annotated[
        str | None, typer.Option(help="The account of a voice that is named; else it is everybody's.")
    ] = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Delete a saved voice, by its id or its name."""
    ask(config_file, form, _deletion, "DELETE", path("voices", voice), account=account)


def cast_of(text: str) -> dict[str, str]:
    """Read names and their voices. Raise CommandRefused."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not pairs or not all(who.strip() and voice.strip() for who, _, voice in pairs):
        raise CommandRefused(f"--cast: {text!r} has no name with a voice; write Ana=nova,Ben=onyx")
    return {who.strip(): voice.strip() for who, _, voice in pairs}


def _list_table(answer: dict[str, Any]) -> list[Part]:
    names = account_names(answer)
    configured = [
        (
            row["name"],
            "config",
            row["language"] or "",
            row["gender"] or "",
            _speakers(row["cast"], row["engines"]),
            "",
        )
        for row in answer["configured"]
    ]
    saved = [_saved(row, names) for row in answer["data"]]
    columns = ("name", "whose", "language", "gender", "speaks with", "id")
    return [Grid(columns, [*configured, *saved], wide=("id",))]


def _saved(row: dict[str, Any], names: Mapping[str, str]) -> tuple[str, ...]:
    whose = names.get(row["account"], row["account"]) if row["account"] else "everybody"
    return (row["name"], whose, "", "", _speakers(row["cast"], []), row["id"])


def _speakers(cast: dict[str, str], engines: list[str]) -> str:
    return ", ".join(engines or (f"{who}: {voice}" for who, voice in cast.items()))


def _row_table(row: dict[str, Any]) -> list[Part]:
    name, whose, _, _, speakers, id_ = _saved(row, {})
    wide = ("whose",) if row["account"] else ()
    return [Grid(("name", "whose", "speaks with", "id"), [(name, whose, speakers, id_)], wide)]


def _deletion(answer: dict[str, Any]) -> list[Part]:
    return [Line(f"{answer['id']} is gone.")]
