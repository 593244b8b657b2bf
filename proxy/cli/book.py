"""`voxgate book`: a book spoken by the running server as one file, as any client asks it.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import typer

from proxy.cli.sound import JOBS, Serving, SoundRequest, read_recording, save_streamed, steps_of, write_answer
from proxy.commands.command import Command, CommandContext, CommandResult
from proxy.commands.options import Sure
from proxy.commands.tables import Grid, Line, Part, print_parts
from proxy.errors import CommandRefused

BookFormat = Literal["m4b", "opus", "flac"]
Quality = Literal["small", "standard", "best"]
Notes = Literal["skip", "after", "end"]
_FILES = "/v1/files"
_MOST_BYTES = 64 * 1024 * 1024
_TOO_LARGE = "a book has at most 64 MiB"
_SILENCE_S = 600.0
_SPEAKS = "The job {0} speaks it. It goes on if you leave: --job {0} fetches it."


def book(
    here: CommandContext,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An EPUB, Markdown or plain text.")],
    voice: Annotated[
        list[str] | None,
        typer.Option(help="A voice; or NAME=VOICE for [NAME] in the text, once for each name."),
    ] = None,
    model: Annotated[str | None, typer.Option(help="A model; else server.default_model.")] = None,
    only: Annotated[str | None, typer.Option(help="Chapters, as 2-14,16.")] = None,
    format_: Annotated[BookFormat, typer.Option("--format", help="m4b, opus or flac.")] = "m4b",
    quality: Annotated[Quality, typer.Option(help="Of m4b: small, standard or best.")] = "standard",
    notes: Annotated[
        Notes, typer.Option(help="skip; after: behind the paragraph; end: of the chapter.")
    ] = "skip",
    out: Annotated[str | None, typer.Option(metavar="PATH", help="Save it there; else beside FILE.")] = None,
    yes: Sure = False,
    job: Annotated[str | None, typer.Option(metavar="ID", help="Go on with a job of this command.")] = None,
) -> CommandResult:
    """Speak a book with the running server, in one file.

    First it shows the chapters, what is left out and the price. The job goes on if the command ends: --job
    fetches it. The command sends the key in VOXGATE_KEY. Without it, it sends the key that make serve made.
    """
    target = Path(out) if out is not None else file.with_suffix(f".{format_}")
    if not target.parent.is_dir() or target.resolve() == file.resolve():
        raise CommandRefused(f"--out {target}: there is no folder, or it is the book itself")
    server = here.server()
    body = {"kind": "book", "model": model or server.default_model, **_voices(voice)}
    body |= {"response_format": format_, "quality": quality, "read": {"notes": notes}}
    body |= {"only": only} if only else {}
    request = SoundRequest(JOBS, {"json": body}, format_, str(target))

    def write(serving: Serving, asked: SoundRequest, to: BinaryIO) -> dict[str, Any]:
        del to
        if job is None:
            asked = _previewed(serving, asked, file, here, is_sure=yes)
            done = serving.follow(asked, _SPEAKS, steps_of)
            # The job has what it needs of the book.
            serving.json("DELETE", f"{_FILES}/{asked.body['json']['input_file_id']}")
        else:
            done = serving.follow_job(job, steps_of)
        size = save_streamed(serving, f"{JOBS}/{done['id']}/content", target)
        facts: dict[str, Any] = {name: done[name] for name in ("id", "seconds", "credits", "warnings")}
        return {**facts, "file": str(target), "bytes": size}

    return CommandResult(write_answer(server, request, io.BytesIO(), write, silence_s=_SILENCE_S))


def _voices(voices: list[str] | None) -> dict[str, Any]:
    """Return the field `voice`: a voice, or a cast. Raise CommandRefused."""
    named = [each.partition("=") for each in voices or ()]
    cast = {name.strip(): voice.strip() for name, sign, voice in named if sign}
    alone = [name for name, sign, _ in named if not sign]
    if (cast and alone) or len(alone) > 1:
        raise CommandRefused("--voice: name one voice, or NAME=VOICE for each name")
    return {"voice": {"cast": cast}} if cast else {"voice": alone[0]} if alone else {}


def _previewed(
    serving: Serving, asked: SoundRequest, file: Path, here: CommandContext, *, is_sure: bool
) -> SoundRequest:
    """Upload the book, show what the job will say and cost, and ask once. Raise CommandRefused."""
    data = read_recording(file, _MOST_BYTES, _TOO_LARGE)
    form = {"data": {"purpose": "user_data"}, "files": {"file": (file.name, data)}}
    uploaded = serving.json("POST", _FILES, **form)
    try:
        body = {**asked.body["json"], "input_file_id": uploaded["id"]}
        preview = serving.json("POST", f"{JOBS}/preview", json=body)
        if here.form is not True:
            print_parts(_preview_parts(preview), sys.stderr)
        if not is_sure and not _agrees(preview):
            raise CommandRefused("nothing was spoken")
    except BaseException:
        serving.json("DELETE", f"{_FILES}/{uploaded['id']}")
        raise
    return asked._replace(body={"json": body})


def _agrees(preview: dict[str, Any]) -> bool:
    if not sys.stdin.isatty():
        raise CommandRefused("this needs your yes: add --yes, as there is no terminal to ask you")
    return typer.confirm(f"Speak it for about {preview['credits']:g} credits?", err=True)


def _preview_parts(preview: dict[str, Any]) -> list[Part]:
    rows = [
        (str(each["number"]), each["title"], f"{each['seconds'] / 60:.1f}", f"{each['credits']:g}")
        for each in preview["chapters"]
    ]
    left_out = [
        Line(f"not read: {each['rule']}, {each['where']}: {each['sample']}") for each in preview["left_out"]
    ]
    unknown = [
        Line(f"no voice for [{name}]: it is read as text", "yellow")
        for name in preview["cast"]["without_voice"]
    ]
    total = f"{preview['seconds'] / 60:.0f} minutes, about {preview['credits']:g} credits, at most"
    available = preview["available"]
    has = "" if available is None else f"; you have {available:g}"
    return [
        Grid(("", "chapter", "minutes", "credits"), rows),
        *left_out,
        *unknown,
        *(Line(each, "yellow") for each in preview["warnings"]),
        Line(f"{total} {preview['most_credits']:g}{has}"),
    ]


def _shown(answer: dict[str, Any]) -> list[Part]:
    warnings = [Line(each, "yellow") for each in answer.get("warnings", ())]
    return [Line(f"saved as {answer['file']}, {answer['bytes'] / 1e6:.1f} MB"), *warnings]


BOOK = Command("book", book, _shown)
