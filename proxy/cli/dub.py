"""`voxgate dub`: subtitles spoken by the running server as a track that is as long as their video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from proxy.cli import file_jobs
from proxy.commands.command import Command, CommandContext, CommandResult
from proxy.commands.options import Sure
from proxy.commands.tables import Line, Part
from proxy.errors import CommandRefused

DubFormat = Literal["flac", "wav", "opus", "m4a", "mp3", "aac"]


def dub(
    here: CommandContext,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Subtitles, as SRT or WebVTT.")],
    original: Annotated[
        Path | None, typer.Option(metavar="SOUND", help="Sound or video that goes on softly under it.")
    ] = None,
    voice: Annotated[
        list[str] | None,
        typer.Option(help="A voice; or NAME=VOICE for each speaker. The first one speaks unnamed cues."),
    ] = None,
    short: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Subtitles with shorter texts, for long lines.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="The track has the speech alone.")] = False,
    length: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="The track's length; else the original's.")
    ] = None,
    model: file_jobs.Model = None,
    language: file_jobs.Language = None,
    format_: Annotated[
        DubFormat, typer.Option("--format", help="flac, wav, opus, m4a, mp3 or aac.")
    ] = "flac",
    cues: Annotated[str, typer.Option(help="With --again: numbers of cues, as 5,12.")] = "",
    word: file_jobs.Words = None,
    out: file_jobs.OutPath = None,
    yes: Sure = False,
    again: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="Say the changed lines of FILE again in a new job; the others cost nothing.",
        ),
    ] = None,
    job: file_jobs.JobId = None,
) -> CommandResult:
    """Speak subtitles with the running server, as one track.

    First it shows the price, and at the end the lines that are late. The job goes on if the command ends:
    --job fetches it. The command sends the key in VOXGATE_KEY. Without it, it sends the key that make serve
    made.
    """
    of_new: dict[str, object] = {"--original": original, "--short": short, "--model": model}
    of_new |= {"--language": language, "--replace": replace, "--format": format_ != "flac"}
    file_jobs.check_options(again, of_new=of_new, of_again={"--cues": cues, "--word": word})
    body: dict[str, Any] = file_jobs.voice_fields(voice, again)
    body |= {} if length is None else {"length_s": length}
    files = {"input_file_id": file}
    if again:
        words = file_jobs.named_pairs(word, "--word", "WORD=SPOKEN")
        body |= {"words": words} if words else {}
        body |= {"steps": cue_numbers(cues)} if cues else {}
    else:
        body |= {"kind": "dub", "model": model or here.server().default_model, "response_format": format_}
        body |= {"language": language} if language else {}
        body |= {"original": "replace"} if replace else {}
        files |= {"original_file_id": original} if original else {}
        files |= {"short_file_id": short} if short else {}
    file_job = file_jobs.FileJob(body, {} if job else files, file, out, again, job)
    return file_jobs.make_file(here, file_job, is_sure=yes, report="report")


def cue_numbers(text: str) -> list[int]:
    """Return the numbers of cues. Raise CommandRefused."""
    parts = [each.strip() for each in text.split(",")]
    if not all(each.isdecimal() for each in parts):
        raise CommandRefused(f"--cues: {text!r} are no numbers; write 5,12")
    return [int(each) for each in parts]


def _show_dub(answer: dict[str, Any]) -> list[Part]:
    late = [
        Line(f"cue {each['number']}, {each['speaker']}: {each['shift']:.2f} s late", "yellow")
        for each in answer["report"]["cues"]
        if each["is_late"]
    ]
    cut = [
        Line(f"cue {each['number']}, {each['speaker']}: the track ends before it", "yellow")
        for each in answer["report"]["cues"]
        if each["is_cut"]
    ]
    return [*file_jobs.saved_parts(answer), *late, *cut]


DUB = Command("dub", dub, _show_dub)
