"""`voxgate lexicons …`: the pronunciation of words, for an account."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.commands.command import AdminRequest, FeatureCommands, Group, admin_path
from proxy.commands.options import OfAccount, Sure
from proxy.commands.tables import Grid, Line, Part, make_grid
from proxy.errors import CommandRefused

LEXICONS = Group("lexicons", "Lexicons: the pronunciation of words.")

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The lexicon: a language, or a name.")]
_Account = Annotated[str, typer.Option(help="The account, by id or name.")]
_CSV_NAMES = ["word", "spoken"]


def _list_table(answer: dict[str, Any]) -> list[Part]:
    if "words" in answer:
        return [Grid(("word", "spoken"), [*answer["words"].items()])]
    columns = {"name": "name", "whose": "owner", "words": "size", "revision": "revision"}
    return [make_grid(answer, columns)]


def _row_table(answer: dict[str, Any]) -> list[Part]:
    return _list_table({"data": [answer]})


def _deletion(answer: dict[str, Any]) -> list[Part]:
    return [Line(f"{answer['name']} is gone.")]


@LEXICONS.command("list", _list_table)
def lexicons_list(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One lexicon, with its words.")] = None,
    account: OfAccount = None,
) -> AdminRequest:
    """List the lexicons of an account and of the configuration. With a name, list its words."""
    resource = "lexicons" if name is None else admin_path("lexicons", name)
    return AdminRequest("GET", resource, query={"account": account})


@LEXICONS.command("set", _row_table)
def lexicons_set(
    name: _Name,
    entries: Annotated[
        list[str] | None, typer.Argument(metavar="WORD=SPOKEN", help="Words, and what is spoken for them.")
    ] = None,
    account: _Account = "",
    file: Annotated[
        Path | None,
        typer.Option(help="A file with more words: word,spoken in a .csv, or a .toml or .json table."),
    ] = None,
) -> AdminRequest:
    """Set the words of an account's lexicon. They replace its old words."""
    _check_named(account)
    words = _read_file(file) if file else {}
    words.update(map(_parse_entry, entries or ()))
    if not words:
        raise CommandRefused("give a word and what is spoken for it: nginx='engine x', or --file WORDS.csv")
    # Imported here: it is slow, and no other command needs it.
    from policies import lexicon

    if (wrong := lexicon.words_fault(words, is_named=True)) is not None:
        raise CommandRefused(f"the lexicon must have {wrong}")
    return AdminRequest("PUT", admin_path("lexicons", name), {"account": account, "words": words})


@LEXICONS.command("delete", _deletion)
def lexicons_delete(
    name: _Name,
    account: _Account = "",
    is_sure: Sure = False,
) -> AdminRequest:
    """Delete an account's lexicon."""
    _check_named(account)
    question = "" if is_sure else f"Delete the lexicon {name} and its words for good?"
    return AdminRequest("DELETE", admin_path("lexicons", name), query={"account": account}, question=question)


def _check_named(account: str) -> None:
    if not account:
        raise CommandRefused("--account: name an account; lexicons for everybody are in the config file")


def _parse_entry(text: str) -> tuple[str, str]:
    word, equals, spoken = text.partition("=")
    if not equals:
        raise CommandRefused(f"{text!r} has no =; write word=spoken")
    return word, spoken


def _read_file(file: Path) -> dict[str, str]:
    try:
        text = file.read_text("utf-8-sig")
        if file.suffix == ".csv":
            return _read_csv(csv.reader(text.splitlines(), skipinitialspace=True), file)
        found = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except (OSError, ValueError, csv.Error) as error:
        raise CommandRefused(f"--file: {file} cannot be read: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(spoken, str) for spoken in found.values()):
        raise CommandRefused(f'--file: {file} must have words with texts for them: "nginx" = "engine x"')
    return found


def _read_csv(rows: Iterable[list[str]], file: Path) -> dict[str, str]:
    words: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        cells = [cell.strip() for cell in row]
        if cells and len(cells) != 2:
            raise CommandRefused(f"--file: line {number} of {file} must be: word,spoken")
        # The first line may name the columns, as in spreadsheets and in our own help.
        if cells and not (number == 1 and [cell.lower() for cell in cells] == _CSV_NAMES):
            words[cells[0]] = cells[1]
    return words


COMMANDS = FeatureCommands(groups=(LEXICONS,))
