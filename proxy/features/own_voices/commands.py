"""`voxgate voices …`: saved voices of accounts and of everybody."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from proxy.commands.command import AdminRequest, FeatureCommands, Group, admin_path
from proxy.commands.options import OfAccount, Sure, read_named_voices
from proxy.commands.tables import SHOW_GONE, Grid, Line, Part, account_names
from proxy.errors import CommandRefused

VOICES = Group("voices", "Saved voices.")

_OneVoice = Annotated[str, typer.Argument(metavar="VOICE", help="A voice, by id or name.")]
_ItsAccount = Annotated[str | None, typer.Option("--account", help="The account of a voice that is named.")]


def _list_table(answer: dict[str, Any]) -> list[Part]:
    names = account_names(answer)
    configured = [
        (
            row["name"],
            "config",
            row["language"] or "",
            row["gender"] or "",
            _speakers(row["cast"], [_engine_label(name, row["natural"]) for name in row["engines"]]),
            "",
        )
        for row in answer["configured"]
    ]
    saved = [_voice_cells(row, names) for row in answer["data"]]
    columns = ("name", "whose", "language", "gender", "speaks with", "id")
    return [Grid(columns, [*configured, *saved], wide=("id",))]


def _voice_cells(row: dict[str, Any], names: Mapping[str, str]) -> tuple[str, ...]:
    whose = names.get(row["account"], row["account"]) if row["account"] else "everybody"
    speaks = _speakers(row["cast"], list(row["bindings"]))
    models = ", ".join(f"a model of {format_}" for format_ in row["trained"])
    if row["quality"] is not None:
        speaks = f"a recording, {row['quality']} quality" + (f", {models}" if models else "")
    elif models:
        speaks = models
    elif row["type"] == "mix":
        speaks = ", ".join(f"{part['id']} {part['weight']:.0%}" for part in row["mix"])
    return (row["name"], whose, row["language"] or "", row["gender"] or "", speaks, row["id"])


def _engine_label(name: str, natural: Mapping[str, bool]) -> str:
    return name if name not in natural else f"{name} ({'natural' if natural[name] else 'by rules'})"


def _speakers(cast: dict[str, str], engines: list[str]) -> str:
    return ", ".join(engines or (f"{who}: {voice}" for who, voice in cast.items()))


def _new_voice_table(row: dict[str, Any]) -> list[Part]:
    name, whose, language, gender, speakers, id_ = _voice_cells(row, {})
    columns = ("name", "whose", "language", "gender", "speaks with", "id")
    wide = ("whose",) if row["account"] else ()
    parts: list[Part] = [Grid(columns, [(name, whose, language, gender, speakers, id_)], wide)]
    return [*parts, *(Line(reason, "yellow") for reason in row.get("reasons", ()))]


def _exported_lines(answer: dict[str, Any]) -> list[Part]:
    what = "recordings" if answer["file"].endswith(".zip") else "a model"
    return [Line(f"{answer['file']}: {answer['bytes'] / 1e6:,.2f} MB, {what} in plain.")]


def _recordings_table(answer: dict[str, Any]) -> list[Part]:
    columns = ("id", "emotion", "seconds", "quality", "words")
    rows = [
        (
            row["id"],
            row["emotion"] or "",
            f"{row['duration_seconds']:.1f}",
            row["quality"]["rating"],
            row["ref_text"],
        )
        for row in answer["data"]
    ]
    return [Grid(columns, rows, wide=("words",))]


def _prompts_table(answer: dict[str, Any]) -> list[Part]:
    rows = [(row["id"], row["text"]) for row in answer["data"]]
    return [Grid(("id", "text"), rows), Line(f"A training needs {answer['needed']} recordings.")]


def _new_recording_table(row: dict[str, Any]) -> list[Part]:
    reasons = (Line(reason, "yellow") for reason in row["quality"]["reasons"])
    return [*_recordings_table({"data": [row]}), *reasons]


@VOICES.command("list", _list_table)
def voices_list(account: OfAccount = None) -> AdminRequest:
    """List the voices of the configuration, and saved voices."""
    return AdminRequest("GET", "voices", query={"account": account}, pages="all")


@VOICES.command("add", _new_voice_table)
def voices_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the new voice.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="A recording of 6 to 30 s of speech.")
    ] = None,
    cast: Annotated[str, typer.Option(help="In place of FILE: names and voices, Ana=nova,Ben=onyx.")] = "",
    mix: Annotated[str, typer.Option(help="In place of FILE: voices and weights, nova=2,onyx=1.")] = "",
    bind: Annotated[str, typer.Option(help="In place of FILE: engines and voices, elevenlabs=ID.")] = "",
    rvc: Annotated[Path | None, typer.Option(help="In place of FILE: a voice of RVC, model.pth.")] = None,
    index: Annotated[Path | None, typer.Option(help="With --rvc: its features, voice.index.")] = None,
    account: Annotated[str | None, typer.Option(help="The account; else it is everybody's.")] = None,
    consent: Annotated[str | None, typer.Option(help="The speaker's consent (cons_…).")] = None,
    statement: Annotated[
        str,
        typer.Option(help="In place of --consent: who agreed to what; for a child, also who is responsible."),
    ] = "",
    text: Annotated[str, typer.Option(help="The words of the recording.")] = "",
    language: Annotated[str | None, typer.Option(help="The language of the voice: pt-BR.")] = None,
    gender: Annotated[str | None, typer.Option(help="The gender of the voice.")] = None,
    description: Annotated[str, typer.Option(help="A description; the search reads it.")] = "",
    tags: Annotated[str, typer.Option(help="Single words for the search: warm,calm.")] = "",
) -> AdminRequest | Generator[AdminRequest, Any, int | None]:
    """Make a voice of a recording, of others, or of a provider's.

    A cast speaks texts such as "[Ana] Hello. [Ben] Hi." with several voices.
    """
    if sum(map(bool, (file, cast, mix, bind, rvc))) != 1:
        raise CommandRefused("give a FILE, or --cast, --mix, --bind or --rvc: one of them")
    words = [tag.strip() for tag in tags.split(",") if tag.strip()]
    common_fields = {"account": account, "description": description, "language": language, "gender": gender}
    if statement and (file is None or consent is not None):
        raise CommandRefused("--statement: it is for a FILE, and stands in place of --consent")
    if rvc is not None:
        fields = {"name": name, **common_fields, "tags[]": words, "consent": consent, "format": "rvc"}
        files = {"file": rvc} if index is None else {"file": rvc, "index": index}
        return AdminRequest("POST", "voice_models", fields, files=files, work="it is read and sealed")
    if file is not None:
        fields = {"name": name, **common_fields, "tags[]": words, "consent": consent, "ref_text": text}
        return _add_recording(fields, file, statement)
    body: dict[str, Any] = {"name": name, **common_fields, "tags": words}
    if cast:
        body["cast"] = read_named_voices(cast)
    elif bind:
        body["bindings"] = read_named_voices(bind, "--bind", "engine", "elevenlabs=ID")
    else:
        body["mix"] = mix_of(mix)
    return AdminRequest("POST", "voices", body)


def _add_recording(
    fields: dict[str, Any], file: Path, statement: str
) -> Generator[AdminRequest, Any, int | None]:
    """Make a voice of a recording. With a statement, the recording is judged first, and then the operator's
    consent is made and accepted. If the voice is refused, the consent is deleted."""

    def hidden(method: str, path: str, body: Any = None, **more: Any) -> AdminRequest:
        return AdminRequest(method, path, body, is_shown=lambda _answer: False, **more)

    if fields["account"] is None:
        accounts = yield hidden("GET", "accounts", pages="all")
        names = [row["name"] for row in accounts["data"] if row["closed"] is None]
        if len(names) != 1:
            raise CommandRefused("--account: a voice of a recording belongs to an account; name it")
        fields["account"] = names[0]
    files, consent = {"audio_sample": file}, ""
    if statement:
        yield hidden("POST", "voice_quality", {}, files=files)
        language = fields["language"] or "en"
        stated = {"account": fields["account"], "name": fields["name"], "language": language}
        consent = (yield hidden("POST", "consents", {**stated, "statement": statement}))["id"]
        yield hidden("POST", admin_path("consents", consent, "accept"))
        fields["consent"] = consent
    try:
        yield AdminRequest("POST", "voices", fields, files=files)
    except CommandRefused:
        if consent:
            yield hidden("DELETE", admin_path("consents", consent))
        raise
    return 0


@VOICES.command("export", _exported_lines)
def voices_export(
    voice: _OneVoice,
    to: Annotated[Path | None, typer.Option(help="The new file; else VOICE.zip.")] = None,
    account: _ItsAccount = None,
    model: Annotated[bool, typer.Option("--model", help="Its trained model, into VOICE.pth.")] = False,
    ending: Annotated[str, typer.Option("--as", help="With --model: pth, index, json.")] = "pth",
) -> AdminRequest:
    """Write a voice's recordings, or its model, to a file."""
    if model:
        file = to or Path(f"{voice.replace('/', '_')}.{ending.replace('/', '_')}")
        query = {"account": account, "form": ending}
        return AdminRequest("GET", admin_path("voices", voice, "model"), query=query, new_file=file)
    file = to or Path(f"{voice.replace('/', '_')}.zip")
    return AdminRequest(
        "GET", admin_path("voices", voice, "export"), query={"account": account}, new_file=file
    )


@VOICES.command("samples", _recordings_table)
def voices_samples(voice: _OneVoice, account: _ItsAccount = None) -> AdminRequest:
    """List the recordings of a voice, with their emotions."""
    return AdminRequest("GET", admin_path("voices", voice, "samples"), query={"account": account})


@VOICES.command("prompts", _prompts_table)
def voices_prompts_table(
    language: Annotated[str, typer.Option(help="en, es, pt or th.")] = "en",
) -> AdminRequest:
    """List sentences to read for a training."""
    return AdminRequest("GET", "voice_prompts", query={"language": language})


@VOICES.command("add-sample", _new_recording_table)
def voices_add_sample(
    voice: _OneVoice,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A recording of 6 to 30 s of speech.")],
    account: _ItsAccount = None,
    emotion: Annotated[str, typer.Option(help="The emotion of the recording: happy, whisper.")] = "neutral",
    text: Annotated[str, typer.Option(help="The words of the recording.")] = "",
) -> AdminRequest:
    """Add a recording to a voice, with its emotion."""
    fields = {"emotion": emotion, "ref_text": text}
    place, query = admin_path("voices", voice, "samples"), {"account": account}
    return AdminRequest("POST", place, fields, query=query, files={"file": file})


@VOICES.command("delete-sample", SHOW_GONE)
def voices_delete_sample(
    voice: _OneVoice,
    sample: Annotated[str, typer.Argument(metavar="SAMPLE", help="A recording, by its id (clip_…).")],
    account: _ItsAccount = None,
    is_sure: Sure = False,
) -> AdminRequest:
    """Delete a recording that was added to a voice."""
    if not sample.startswith("clip_"):
        raise CommandRefused(f"{sample!r} is no recording; see voxgate voices samples VOICE")
    question = "" if is_sure else f"Delete the recording {sample} of {voice} for good?"
    place = admin_path("voices", voice, "samples", quote(sample, safe=""))
    return AdminRequest("DELETE", place, query={"account": account}, question=question, must_exist=False)


@VOICES.command("delete", SHOW_GONE)
def voices_delete(
    voice: Annotated[str, typer.Argument(metavar="VOICE", help="A saved voice, by id or name.")],
    account: Annotated[
        str | None, typer.Option(help="The account of a voice that is named; else it is everybody's.")
    ] = None,
    is_sure: Sure = False,
) -> AdminRequest:
    """Delete a saved voice, by its id or its name."""
    question = "" if is_sure else f"Delete the voice {voice} and its recordings for good?"
    query = {"account": account}
    return AdminRequest(
        "DELETE", admin_path("voices", voice), query=query, question=question, must_exist=False
    )


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


COMMANDS = FeatureCommands(groups=(VOICES,))
