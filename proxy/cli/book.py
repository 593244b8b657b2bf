"""`voxgate book`: a book spoken by the running server as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from proxy.cli.file_jobs import (
    FileJob,
    JobId,
    Language,
    Model,
    OutPath,
    Words,
    check_options,
    make_file,
    named_pairs,
    saved_parts,
    voice_fields,
)
from proxy.commands.command import Command, CommandContext, CommandResult
from proxy.commands.options import Sure

BookFormat = Literal["m4b", "opus", "flac"]
Quality = Literal["small", "standard", "best"]
Notes = Literal["skip", "after", "end"]


def book(
    here: CommandContext,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An EPUB, Markdown or plain text.")],
    voice: Annotated[
        list[str] | None,
        typer.Option(help="A voice; or NAME=VOICE for [NAME] in the text, once for each name."),
    ] = None,
    model: Model = None,
    language: Language = None,
    only: Annotated[str | None, typer.Option(help="Chapters, as 2-14,16.")] = None,
    format_: Annotated[BookFormat, typer.Option("--format", help="m4b, opus or flac.")] = "m4b",
    quality: Annotated[Quality, typer.Option(help="Of m4b: small, standard or best.")] = "standard",
    notes: Annotated[
        Notes, typer.Option(help="skip; after: behind the paragraph; end: of the chapter.")
    ] = "skip",
    word: Words = None,
    out: OutPath = None,
    yes: Sure = False,
    again: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Say a part of this job again, by --only, --word or --voice."),
    ] = None,
    job: JobId = None,
) -> CommandResult:
    """Speak a book with the running server, in one file.

    First it shows the chapters, what is left out and the price. The job goes on if the command ends: --job
    fetches it. The command sends the key in VOXGATE_KEY. Without it, it sends the key that make serve made.
    """
    first = {
        "--model": model,
        "--language": language,
        "--format": format_ != "m4b",
        "--quality": quality != "standard",
        "--notes": notes != "skip",
    }
    check_options(again, first=first, later={"--word": word})
    body: dict[str, Any] = voice_fields(voice, again) | ({"only": only} if only else {})
    if again:
        words = named_pairs(word, "--word", "WORD=SPOKEN")
        body |= {"words": words} if words else {}
    else:
        body |= {"kind": "book", "model": model or here.server().default_model}
        body |= {"language": language} if language else {}
        body |= {"response_format": format_, "quality": quality, "read": {"notes": notes}}
    files = {} if again or job else {"input_file_id": file}
    return make_file(here, FileJob(body, files, file, out, again, job), is_sure=yes)


BOOK = Command("book", book, saved_parts)
