"""`voxgate models …` and `voxgate voices natural`: models that are imported, fetched and spoken with.

They are files below the data folder, so no server is needed. Slow modules are imported inside functions:
`voxgate --help` needs none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from proxy.commands.command import CommandContext, CommandResult, FeatureCommands, Group
from proxy.commands.options import Sure
from proxy.commands.tables import Grid, Line, Part

MODELS = Group("models", "Models: files that local engines speak with.")
NATURAL = Group("voices", "")

_WIDE = ("parameters", "memory", "attribution", "imported", "digest", "folder")
_FOUND_WIDE = ("title", "command")
_MOST_LANGUAGES = 20  # a table counts more; JSON has all of them

_Name = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")]
_Accepted = Annotated[
    list[str] | None, typer.Option(help="A licence that you have read and accept; may be repeated.")
]
_Agree = Annotated[bool, typer.Option("--agree", help="You have read the model's terms, and agree to them.")]
_From = Annotated[str, typer.Option("--from", metavar="FOLDER|URL", help="Where its files are instead.")]
_ChangeLicence = Annotated[
    bool, typer.Option("--change-licence", help="The name's model has another licence now.")
]


def _models_table(answer: dict[str, Any]) -> list[Part]:
    columns = ("name", "state", "plugin", "licence", "basis", "languages", "size", "engines", *_WIDE)
    rows = [
        (
            row["name"],
            row["state"],
            row.get("plugin", ""),
            row.get("licence", ""),
            row.get("basis", ""),
            _languages_text(row.get("languages", ())),
            f"{row.get('bytes', 0) / 1e6:,.0f} MB",
            ", ".join(row.get("engines", ())),
            f"{row.get('parameters', 0):,}",
            f"{row.get('memory_gb', 0):g} GB",
            row.get("attribution", ""),
            row.get("imported_at", ""),
            row.get("digest", ""),
            row["folder"],
        )
        for row in answer["data"]
    ]
    faults = [Line(f"{row['name']}: {row['fault']}", "red") for row in answer["data"] if row.get("fault")]
    agreements = [
        Line(f"{row['name']}: {agreed['by']} agreed to its terms on {agreed['at'][:10]}")
        for row in answer["data"]
        if (agreed := row.get("agreement"))
    ]
    return [Grid(columns, rows, _WIDE), *agreements, *_proof_lines(answer), *faults]


def _proof_lines(answer: dict[str, Any]) -> Iterator[Line]:
    for row in answer["data"]:
        proof = row.get("proof") or {"data": ()}
        for each in proof["data"]:
            wrong = each["wrong_per_thousand"]
            result = "not measured" if wrong is None else f"{wrong} ‰ wrong"
            alike = each.get("long_text", {}).get("likeness")
            also = f", alike {alike[0]}, then {alike[1]}" if alike else ""
            what = f"{each['model']} in {each['language']} with {each['voice']}"
            yield Line(f"{row['name']}: proved on {proof['at'][:10]}: {what}: {result}{also}")


def _languages_text(languages: Sequence[str]) -> str:
    many = len(languages) > _MOST_LANGUAGES
    return f"{len(languages)} languages" if many else " ".join(languages)


def _imported_table(row: dict[str, Any]) -> list[Part]:
    from speech_engine.licences import bound_by, terms_of

    text = "Imported." if row["is_new"] else "These files were there already."
    binding = bound_by(row["licence"], row["basis"])
    terms = terms_of(binding)
    warnings = [Line(f"{binding}: {terms.says}.", "yellow")] if terms.must_accept else []
    return [Line(text), *_models_table({"data": [row]}), *warnings]


@MODELS.command("import", _imported_table)
def models_import(
    here: CommandContext,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A folder with the files, or its main file.")],
    engine: Annotated[str, typer.Option(help="The engine or mark that will use it, or its plugin.")],
    name: Annotated[str, typer.Option(help="What the configuration will call it.")],
    licence: Annotated[str, typer.Option(help="The name of its licence: CPML, Apache-2.0, ….")],
    language: Annotated[
        list[str] | None, typer.Option(help="Only this language of it; may be repeated.")
    ] = None,
    basis: Annotated[
        str, typer.Option(help="The licence of what it was finetuned from, or its recordings' terms.")
    ] = "",
    attribution: Annotated[str, typer.Option(help="Whom to name as its maker.")] = "",
    gender: Annotated[
        list[str] | None,
        typer.Option(help="male or female, or SPEAKER=GENDER for one of several; may be repeated."),
    ] = None,
    change_licence: _ChangeLicence = False,
) -> CommandResult:
    """Import a model. Its files are checked, and pickles converted."""
    from proxy.features.models import stock
    from proxy.features.models.import_order import ImportOrder, read_genders

    config = here.config()
    plugin, format_ = stock.find_import_format(config, engine)
    languages, genders = tuple(language or ()), read_genders(gender or ())
    order = ImportOrder(path, plugin, name, licence, languages, change_licence, basis, attribution, genders)
    return stock.import_by_hand(here, config, format_, order)


@MODELS.command("list", _models_table)
def models_list(here: CommandContext) -> CommandResult:
    """List the imported models."""
    from proxy.features.models import stock

    return CommandResult(stock.list_models(here.config()))


@MODELS.command("verify", _models_table)
def models_verify(
    here: CommandContext,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only this model.")] = None,
) -> CommandResult:
    """Read all files again, and compare them with what was imported."""
    from proxy.features.models import stock

    answer = stock.verify_models(here, name)
    return CommandResult(answer, status=1 if any(row["fault"] for row in answer["data"]) else 0)


@MODELS.command("remove", _models_table)
def models_remove(
    here: CommandContext,
    name: _Name,
    stale: Annotated[bool, typer.Option("--stale", help="Only versions that are not in use.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also one that the configuration names.")] = False,
    is_sure: Sure = False,
) -> CommandResult:
    """Delete a model. One that a running server uses stays."""
    from proxy.features.models import stock

    return CommandResult(stock.remove_versions(here, name, stale=stale, force=force, is_sure=is_sure))


def _search_table(answer: dict[str, Any]) -> list[Part]:
    from proxy.features.models.offers import size_text

    columns = ("name", "engine", "languages", "voices", "size", "licence", "basis", "paid use", "pulled")
    rows = [
        (
            row["name"],
            row["engine"],
            _languages_text(row["languages"]),
            _voices_text(row),
            size_text(row["bytes"]),
            f"{row['licence']}{', gated' if row['gated'] else ''}",
            row["basis"],
            "yes" if row["paid_use"] else "no",
            "yes" if row["is_pulled"] else "",
            row["title"],
            row["command"],
        )
        for row in answer["data"]
    ]
    parts: list[Part] = [Grid((*columns, *_FOUND_WIDE), rows, _FOUND_WIDE)]
    if not rows:
        parts = [Line("No gallery has such a model.")]
    faults = [Line(f"{fault['plugin']}: {fault['reason']}", "red") for fault in answer["faults"]]
    return [*parts, *faults]


def _voices_text(row: dict[str, Any]) -> str:
    """Show the voices: the number of women and men, and whether people's own voices can speak."""
    genders = list(row["genders"].values())
    counted = [f"{genders.count(kind)} {kind}" for kind in dict.fromkeys(genders)]
    kinds = genders[:1] if len(genders) == 1 else counted
    return ", ".join([*kinds, *(["your own"] if row["speaks_samples"] else [])])


@MODELS.command("search", _search_table)
def models_search(
    here: CommandContext,
    word: Annotated[str, typer.Argument(metavar="[WORD]", help="A name, a word or a language.")] = "",
    language: Annotated[str, typer.Option(help="Only models that speak it: pt, en-GB.")] = "",
    paid: Annotated[bool, typer.Option("--paid", help="Only models that may speak for money.")] = False,
) -> CommandResult:
    """Search for models that can be pulled. Nothing is fetched."""
    from proxy.features.models import offers

    return CommandResult(offers.search_models(here.config(), word, language, paid))


@MODELS.command("pull", _imported_table)
def models_pull(
    here: CommandContext,
    name: _Name,
    accept: _Accepted = None,
    agree: _Agree = False,
    source: _From = "",
    sha256: Annotated[
        list[str] | None, typer.Option(help="A digest that the gallery lacks; may be repeated.")
    ] = None,
    token: Annotated[str, typer.Option(help="env:NAME or file:PATH: a token for a gated model.")] = "",
    again: Annotated[bool, typer.Option("--again", help="Fetch it, though it is there.")] = False,
    change_licence: _ChangeLicence = False,
    build: Annotated[
        bool,
        typer.Option("--build/--no-build", help="Build the environment that it runs in, if it is missing."),
    ] = True,
    use: Annotated[
        bool, typer.Option("--use/--no-use", help="Let the server speak with it after a restart.")
    ] = True,
) -> CommandResult:
    """Fetch a model of a gallery, and import it."""
    from proxy.features.models import offers
    from proxy.features.models.pulling import PullOrder

    config = here.config()
    listed = offers.announce_model(config, name)
    order = PullOrder(
        accepted=offers.ask_acceptance(listed, tuple(accept or ())),
        agreed_by=offers.ask_agreement(config, listed, agree),
        source=offers.check_source(source),
        digests=offers.check_digests(sha256 or []),
        token=offers.resolve_token(token or listed.entry.token, is_option=bool(token)),
        changes_licence=change_licence,
        again=again,
    )
    return offers.pull_and_use(here, config, listed, order, builds=build, uses=use)


def _natural_lines(answer: dict[str, Any]) -> list[Part]:
    if "is_used" in answer:
        return _imported_table(answer)
    return [
        *(Line(f"{name}: {why}", "red") for name, why in answer["faults"].items()),
        Line(f"{answer['file']} has these lines now, beneath your own configuration:"),
        *map(Line, answer["lines"].splitlines()),
        *(
            Line(f"Your own {section} stands above its {section}.", "yellow")
            for section in answer["overruled"]
        ),
        Line("Restart the server to hear them: a reload starts no engine."),
    ]


@NATURAL.command("natural", _natural_lines)
def voices_natural(
    here: CommandContext,
    language: Annotated[
        str, typer.Argument(metavar="[LANGUAGE]", help="Its voices: th; with --quick fr, es, …")
    ] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Add a small voice for when others are late.")
    ] = False,
    at_start: Annotated[bool, typer.Option("--at-start", hidden=True)] = False,
    beside: Annotated[bool, typer.Option("--beside", hidden=True)] = False,
) -> CommandResult | None:
    """Fetch natural voices, and speak with them."""
    # The hidden options are for the start of a server: see `fetch_before_start` and `fetch_rest`.
    from proxy.features.models import first_voices, offers
    from proxy.features.models.listing import FIRST

    if quick and not language:
        raise typer.BadParameter("--quick needs a LANGUAGE: voxgate voices natural fr --quick")
    if language and (listed := offers.find_voice(language, stands_in=quick)).name not in FIRST:
        return offers.add_voice(here, listed, stands_in=quick)
    if beside:
        first_voices.fetch_rest(here)
        return None
    if at_start:
        if more := first_voices.fetch_before_start(here):
            print(more)  # noqa: T201 - for `voxgate serve`
        return None
    return CommandResult(first_voices.fetch_natural_voices(here))


def _own_lines(answer: dict[str, Any]) -> list[Part]:
    return [
        *(Line(f"{name} is there.") for name in answer["ready"]),
        *(Line(f"{name}: {why}", "red") for name, why in answer["faults"].items()),
    ]


@NATURAL.command("own", _own_lines)
def voices_own(
    here: CommandContext,
    language: Annotated[
        str, typer.Argument(metavar="[LANGUAGE]", help="pt, en, …; else the server's default language.")
    ] = "",
    any_engine: Annotated[
        bool, typer.Option("--any", help="Also a converter: it repeats any engine's speech in your voice.")
    ] = False,
    accept: _Accepted = None,
    agree: _Agree = False,
    source: _From = "",
    agreed_by: Annotated[str, typer.Option("--agreed-by", hidden=True)] = "",
) -> CommandResult:
    """Fetch what speaks in your own voice, once you agree."""
    from proxy.features.models import own_voices

    order = own_voices.OwnOrder(any_engine, tuple(accept or ()), agree, agreed_by, source)
    return own_voices.fetch_own_voices(here, language, order)


COMMANDS = FeatureCommands(groups=(NATURAL,), last_groups=(MODELS,))
