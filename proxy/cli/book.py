"""`voxgate book`: a book spoken by the running server as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from proxy.cli import file_jobs
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
    model: file_jobs.Model = None,
    language: file_jobs.Language = None,
    only: Annotated[str | None, typer.Option(help="Chapters, as 2-14,16.")] = None,
    format_: Annotated[BookFormat, typer.Option("--format", help="m4b, opus or flac.")] = "m4b",
    quality: Annotated[Quality, typer.Option(help="Of m4b: small, standard or best.")] = "standard",
    notes: Annotated[
        Notes, typer.Option(help="skip; after: behind the paragraph; end: of the chapter.")
    ] = "skip",
    word: file_jobs.Words = None,
    out: file_jobs.OutPath = None,
    yes: Sure = False,
    again: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Say a part of this job again, by --only, --word or --voice."),
    ] = None,
    job: file_jobs.JobId = None,
) -> CommandResult:
    """Speak a book with the running server, in one file.

    First it shows the chapters, what is left out and the price. The job goes on if the command ends: --job
    fetches it. The command sends the key in VOXGATE_KEY. Without it, it sends the key that make serve made.
    """
    of_new = {  # the values are true if the options were given
        "--model": model,
        "--language": language,
        "--format": format_ != "m4b",
        "--quality": quality != "standard",
        "--notes": notes != "skip",
    }
    file_jobs.check_options(again, of_new=of_new, of_again={"--word": word})
    body: dict[str, Any] = file_jobs.voice_fields(voice, again) | ({"only": only} if only else {})
    if again:
        words = file_jobs.named_pairs(word, "--word", "WORD=SPOKEN")
        body |= {"words": words} if words else {}
    else:
        body |= {"kind": "book", "model": model or here.server().default_model}
        body |= {"language": language} if language else {}
        body |= {"response_format": format_, "quality": quality, "read": {"notes": notes}}
    files = {} if again or job else {"input_file_id": file}
    return file_jobs.make_file(here, file_jobs.FileJob(body, files, file, out, again, job), is_sure=yes)


BOOK = Command("book", book, file_jobs.saved_parts)
