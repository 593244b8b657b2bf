"""`voxgate transcribe`: recordings written down by the running server, as any client asks it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

import typer

from proxy.cli.sound import (
    JOBS,
    ServerClient,
    SoundRequest,
    read_long_recording,
    save_sound,
    steps_text,
    write_answer,
)
from proxy.commands.command import Command, CommandContext, CommandResult
from proxy.commands.tables import Line, Part
from proxy.errors import CommandRefused

TranscriptFormat = Literal["text", "srt", "vtt", "json", "verbose_json"]
_FORMAT_BY_ENDING: dict[str, TranscriptFormat] = {".srt": "srt", ".vtt": "vtt", ".json": "verbose_json"}
_SILENCE_S = 600.0
"""The server hears a whole recording before it sends the first byte."""


def transcribe(
    here: CommandContext,
    recordings: Annotated[list[Path], typer.Argument(metavar="FILE…", help="Recordings, or videos.")],
    format_: Annotated[
        TranscriptFormat | None,
        typer.Option("--format", help="text, srt, vtt, json or verbose_json; else that of --out, else text."),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="The language that is spoken, as pt; else the model finds it.")
    ] = None,
    translate: Annotated[bool, typer.Option("--translate", help="Write it down in English.")] = False,
    model: Annotated[str, typer.Option(help="A model that hears.")] = "whisper-1",
    prompt: Annotated[
        str | None, typer.Option(help="The text before, or names and words that are said.")
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="PATH", help="Save it there: a file, or a folder. Else stdout.")
    ] = None,
) -> CommandResult:
    """Write down what recordings say, with the running server.

    A recording of more than half an hour becomes a job. The command sends the key in VOXGATE_KEY. Without it,
    it sends the key that make serve made.
    """
    found_format = format_ or _FORMAT_BY_ENDING.get(Path(out or "").suffix.lower(), "text")
    fields = {"model": model, "response_format": found_format}
    fields |= {"prompt": prompt} if prompt else {}
    # A translation has no language: it is found.
    fields |= {"language": language} if language and not translate else {}
    path = f"/v1/audio/{'translations' if translate else 'transcriptions'}"
    rows, is_faulty = list[dict[str, Any]](), False
    for recording, file in _targets(recordings, out, found_format):
        try:
            request = SoundRequest(path, {"data": fields}, found_format, out)
            rows.append(_transcribe_one(here, recording, file, request))
        except CommandRefused as refused:
            if len(recordings) == 1:
                raise
            typer.echo(f"{recording}: {refused}" if refused.code else str(refused), err=True)
            is_faulty = True
    return CommandResult({"data": rows}, status=int(is_faulty))


def _transcribe_one(
    here: CommandContext, recording: Path, file: Path | None, request: SoundRequest
) -> dict[str, Any]:
    """Write down a recording, into a file or into the row that is returned. Raise CommandRefused."""
    files, transcript = {"file": (recording.name, read_long_recording(recording))}, io.BytesIO()
    request = request._replace(body={**request.body, "files": files})
    facts = write_answer(here.server(), request, transcript, _write_transcript, silence_s=_SILENCE_S)
    if file is None:
        facts["transcript"] = transcript.getvalue().decode()
    else:
        save_sound(transcript.getvalue(), "", str(file))
    return {"recording": str(recording), "file": file and str(file), **facts}


def _targets(
    recordings: list[Path], out: str | None, format_: TranscriptFormat
) -> list[tuple[Path, Path | None]]:
    """Return the file for each transcript, None for stdout. Raise CommandRefused if two would go into one."""
    if out in (None, "-"):
        return [(each, None) for each in recordings]
    folder = Path(str(out))
    is_folder = folder.is_dir()
    if not is_folder and len(recordings) > 1:
        raise CommandRefused(f"{out}: it is no folder, and {len(recordings)} transcripts need one")
    ending = {"text": ".txt", "srt": ".srt", "vtt": ".vtt"}.get(format_, ".json")
    by_target = {folder / f"{each.stem}{ending}" if is_folder else folder: each for each in recordings}
    if len(by_target) < len(recordings):
        raise CommandRefused(f"--out {out}: two recordings have the same name")
    # These checks come before anything is charged.
    for file in by_target:
        if not file.parent.is_dir() or not os.access(file.parent, os.W_OK):
            raise CommandRefused(f"--out {file}: there is no folder that can be written")
        if file.resolve() in [each.resolve() for each in recordings]:
            raise CommandRefused(f"--out {file}: it is the recording itself")
    return [(recording, file) for file, recording in by_target.items()]


def _write_transcript(server_client: ServerClient, request: SoundRequest, to: BinaryIO) -> dict[str, Any]:
    """Write down one recording, with a job if it is too long for a request. Raise CommandRefused."""
    try:
        head, _ = server_client.fetch(to, "POST", request.path, **request.body)
    except CommandRefused as refused:
        if refused.code != "recording_too_long":
            raise
        return _write_job(server_client, request, to)
    return {name: head.get(f"x-voxgate-{name}") for name in ("engine", "language")} | {"job": None}


def _write_job(server_client: ServerClient, request: SoundRequest, to: BinaryIO) -> dict[str, Any]:
    fields = {**request.body["data"], "kind": "transcription"}
    if request.path.endswith("translations"):
        fields["task"] = "translate"
    job_request = request._replace(path=JOBS, body={**request.body, "data": fields})
    job = server_client.run_job(job_request, "It is long: the job {} writes it down.", steps_text)
    server_client.fetch(to, "GET", f"{JOBS}/{job['id']}/content", params={"format": request.format})
    return {"engine": fields["model"], "language": None, "job": job["id"]}


def _show_transcripts(answer: dict[str, Any]) -> list[Part]:
    saved = "{recording}: saved as {file}, by {engine}"
    rows = answer["data"]
    return [Line(saved.format_map(row) if row["file"] else row["transcript"].rstrip("\n")) for row in rows]


TRANSCRIBE = Command("transcribe", transcribe, _show_transcripts)
