"""`voxgate voices …`: saved voices of accounts and of everybody."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.cli.admin_requests import ask, save, show_answer
from proxy.cli.options import ConfigFile, Printed
from proxy.commands.command import Ask, path
from proxy.commands.options import OfAccount, Sure, be_sure
from proxy.commands.tables import Grid, Line, Part, account_names, print_answer
from proxy.errors import CommandRefused

voices = typer.Typer(help="Saved voices.", no_args_is_help=True)


@voices.command("list")
def voices_list(account: OfAccount = None, config_file: ConfigFile = None, form: Printed = None) -> None:
    """List the voices of the configuration, and saved voices."""
    asked = Ask("GET", "voices", query={"account": account}, pages="all")
    show_answer(asked, config_file, form, _list_table)


@voices.command("add")
def voices_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new voice.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A recording of 6 to 30 s of speech.")
    ] = None,
    cast: Annotated[str, typer.Option(help="In place of FILE: names and voices, Ana=nova,Ben=onyx.")] = "",
    mix: Annotated[str, typer.Option(help="In place of FILE: voices and weights, nova=2,onyx=1.")] = "",
    bind: Annotated[str, typer.Option(help="In place of FILE: engines and voices, elevenlabs=ID.")] = "",
    account: Annotated[str | None, typer.Option(help="The account; else it is everybody's.")] = None,
    consent: Annotated[str | None, typer.Option(help="The speaker's consent (cons_…).")] = None,
    text: Annotated[str, typer.Option(help="The words of the recording.")] = "",
    language: Annotated[str | None, typer.Option(help="The language of the voice: pt-BR.")] = None,
    gender: Annotated[str | None, typer.Option(help="The gender of the voice.")] = None,
    description: Annotated[str, typer.Option(help="A description; the search reads it.")] = "",
    tags: Annotated[str, typer.Option(help="Single words for the search: warm,calm.")] = "",
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Make a voice of a recording, of others, or of a provider's.

    A cast speaks texts such as "[Ana] Hello. [Ben] Hi." with several voices.
    """
    if sum(map(bool, (file, cast, mix, bind))) != 1:
        raise CommandRefused("give a FILE, or --cast, --mix or --bind: one of them")
    words = [tag.strip() for tag in tags.split(",") if tag.strip()]
    beside = {"account": account, "description": description, "language": language, "gender": gender}
    if file is not None:
        if account is None:
            raise CommandRefused("--account: a voice of a recording belongs to an account; name it")
        fields = {"name": name, **beside, "tags[]": words, "consent": consent, "ref_text": text}
        asked = Ask("POST", "voices", fields, files={"audio_sample": file})
        show_answer(asked, config_file, form, _made)
        return
    body: dict[str, Any] = {"name": name, **beside, "tags": words}
    if cast:
        body["cast"] = cast_of(cast)
    elif bind:
        body["bindings"] = bindings_of(bind)
    else:
        body["mix"] = mix_of(mix)
    ask(config_file, form, _made, "POST", "voices", body)


@voices.command("export")
def voices_export(
    voice: Annotated[str, typer.Argument(metavar="VOICE", help="A voice, by id or name.")],
    to: Annotated[Path | None, typer.Option(help="The new file; else VOICE.zip.")] = None,
    account: Annotated[str | None, typer.Option(help="The account of a voice that is named.")] = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Write a voice's recordings and their facts into a zip file."""
    file = to or Path(f"{voice.replace('/', '_')}.zip")
    size = save(config_file, path("voices", voice, "export"), file, account=account)
    answer = {"file": str(file), "bytes": size}
    print_answer(answer, form, lambda _: [Line(f"{file}: {size / 1e6:,.2f} MB, recordings in plain.")])


@voices.command("delete")
def voices_delete(
    voice: Annotated[str, typer.Argument(metavar="VOICE", help="A saved voice, by id or name.")],
    account: Annotated[
        str | None, typer.Option(help="The account of a voice that is named; else it is everybody's.")
    ] = None,
    is_sure: Sure = False,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Delete a saved voice, by its id or its name."""
    where = path("voices", voice)
    be_sure(is_sure, f"Delete the voice {voice} and its recordings for good?")
    ask(config_file, form, _deletion, "DELETE", where, account=account)


def cast_of(text: str) -> dict[str, str]:
    """Read names and their voices. Raise CommandRefused."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not pairs or not all(who.strip() and voice.strip() for who, _, voice in pairs):
        raise CommandRefused(f"--cast: {text!r} has no name with a voice; write Ana=nova,Ben=onyx")
    return {who.strip(): voice.strip() for who, _, voice in pairs}


def bindings_of(text: str) -> dict[str, str]:
    """Read engines and the ids of their voices. Raise CommandRefused."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair.strip()]
    if not pairs or not all(engine.strip() and voice.strip() for engine, _, voice in pairs):
        raise CommandRefused(f"--bind: {text!r} has no engine with a voice; write elevenlabs=ID")
    return {engine.strip(): voice.strip() for engine, _, voice in pairs}


def mix_of(text: str) -> list[dict[str, Any]]:
    """Read voices and their weights. Raise CommandRefused."""
    parts: list[dict[str, Any]] = []
    for pair in filter(str.strip, text.split(",")):
        voice, _, weight = pair.rpartition("=") if "=" in pair else (pair, "", "1")
        try:
            parts.append({"id": voice.strip(), "weight": float(weight)})
        except ValueError:
            raise CommandRefused(f"--mix: {pair!r} is no voice with a weight; write nova=2,onyx=1") from None
    return parts


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
    speaks = _speakers(row["cast"], list(row["bindings"]))
    if row["type"] == "sample":
        speaks = f"a recording, {row['quality']} quality"
    elif row["type"] == "mix":
        speaks = ", ".join(f"{part['id']} {part['weight']:.0%}" for part in row["mix"])
    return (row["name"], whose, row["language"] or "", row["gender"] or "", speaks, row["id"])


def _speakers(cast: dict[str, str], engines: list[str]) -> str:
    return ", ".join(engines or (f"{who}: {voice}" for who, voice in cast.items()))


def _made(row: dict[str, Any]) -> list[Part]:
    name, whose, language, gender, speakers, id_ = _saved(row, {})
    columns = ("name", "whose", "language", "gender", "speaks with", "id")
    wide = ("whose",) if row["account"] else ()
    parts: list[Part] = [Grid(columns, [(name, whose, language, gender, speakers, id_)], wide)]
    return [*parts, *(Line(reason, "yellow") for reason in row.get("reasons", ()))]


def _deletion(answer: dict[str, Any]) -> list[Part]:
    return [Line(f"{answer['id']} is gone.")]
