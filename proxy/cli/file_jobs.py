"""Jobs that make a file, for the commands of books and dubs. The command is a client of the running server:
it uploads files, shows the price and asks for consent, makes the job, and saves its file."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NamedTuple

import typer

from proxy.cli.sound import (
    JOBS,
    ServerClient,
    SoundRequest,
    read_recording,
    save_streamed,
    steps_text,
    write_answer,
)
from proxy.commands.command import CommandContext, CommandResult
from proxy.commands.tables import Grid, Line, Part, print_parts
from proxy.errors import CommandRefused

Model = Annotated[str | None, typer.Option(help="A model; else server.default_model.")]
Language = Annotated[str | None, typer.Option(help="The language of the text, as pt-BR.")]
Words = Annotated[
    list[str] | None,
    typer.Option("--word", metavar="WORD=SPOKEN", help="With --again: how a word is said, once for each."),
]
OutPath = Annotated[str | None, typer.Option(metavar="PATH", help="Save it there; else beside FILE.")]
JobId = Annotated[str | None, typer.Option("--job", metavar="ID", help="Go on with a job of this command.")]
_FILES = "/v1/files"
_MOST_BYTES = 64 * 1024 * 1024
_TOO_LARGE = "a file has at most 64 MiB"
_SILENCE_S = 600.0


class FileJob(NamedTuple):
    """A job that makes a file: the `body` of the request, and its `files` by the fields that get their ids.
    `again` is the id of an earlier job that is said again. `job` is the id of a job that exists: the command
    only waits for it and saves its file. Without `out`, that is beside `source`."""

    body: Mapping[str, Any]
    files: Mapping[str, Path]
    source: Path
    out: str | None
    again: str | None = None
    job: str | None = None

    def target(self, format_: str) -> Path:
        return Path(self.out) if self.out is not None else self.source.with_suffix(f".{format_}")


def make_file(here: CommandContext, file_job: FileJob, *, is_sure: bool, report: str = "") -> CommandResult:
    """Make the job, wait for it, and save its file. With `report`, the answer has the job's JSON file of this
    name. Raise CommandRefused."""
    target = file_job.target(file_job.body.get("response_format", "sound"))
    if not target.parent.is_dir() or target.resolve() in [each.resolve() for each in file_job.files.values()]:
        raise CommandRefused(f"--out {target}: there is no folder, or it is a file that is read")

    def write(server_client: ServerClient, request: SoundRequest, to: BinaryIO) -> dict[str, Any]:
        del request, to
        job = file_job.job or _create_job(server_client, file_job, here, is_sure=is_sure)
        job_row = server_client.follow_job(job, steps_text)
        path = f"{JOBS}/{job_row['id']}/content"
        file = file_job.target(job_row["format"])
        size = save_streamed(server_client, path, file)
        facts: dict[str, Any] = {name: job_row[name] for name in ("id", "seconds", "credits", "warnings")}
        facts |= (
            {report: server_client.json("GET", path, params={"file": f"{report}.json"})} if report else {}
        )
        return {**facts, "file": str(file), "bytes": size}

    request = SoundRequest(JOBS, {}, "", file_job.out)
    return CommandResult(write_answer(here.server(), request, io.BytesIO(), write, silence_s=_SILENCE_S))


def voice_fields(voices: list[str] | None, again: str | None) -> dict[str, Any]:
    """Return the voices of a request: one, or a cast. Raise CommandRefused."""
    cast = named_pairs([each for each in voices or () if "=" in each], "--voice", "NAME=VOICE")
    alone = [each for each in voices or () if "=" not in each]
    if len(alone) > 1 or (alone and (cast or again)):
        expected = "NAME=VOICE for each name" if again else "one voice, or NAME=VOICE for each name"
        raise CommandRefused(f"--voice: name {expected}")
    if again:
        return {"cast": cast} if cast else {}
    return {"voice": {"cast": cast}} if cast else {"voice": alone[0]} if alone else {}


def check_options(again: str | None, *, of_new: Mapping[str, object], of_again: Mapping[str, object]) -> None:
    """Refuse options that only a new job takes, or only one that is said again. Raise CommandRefused."""
    for name, value in (of_new if again else of_again).items():
        if value:
            why = "a job that is said again keeps what it had" if again else "this is for --again"
            raise CommandRefused(f"{name}: {why}")


def named_pairs(texts: list[str] | None, option: str, example: str) -> dict[str, str]:
    """Read texts such as "NAME=VALUE", and return the values by name. Raise CommandRefused."""
    pairs = [each.partition("=") for each in texts or ()]
    if not all(name.strip() and value.strip() for name, _, value in pairs):
        raise CommandRefused(f"{option}: write {example}")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _create_job(
    server_client: ServerClient, file_job: FileJob, here: CommandContext, *, is_sure: bool
) -> str:
    """Upload the files, show what the job will say and cost, ask once, and make it. Raise CommandRefused."""
    path, ids = f"{JOBS}/{file_job.again}/again" if file_job.again else JOBS, dict[str, str]()
    try:
        for field, file in file_job.files.items():
            data = read_recording(file, _MOST_BYTES, _TOO_LARGE)
            form = {"data": {"purpose": "user_data"}, "files": {"file": (file.name, data)}}
            ids[field] = server_client.json("POST", _FILES, **form)["id"]
        body = {**file_job.body, **ids}
        if file_job.again:
            preview = server_client.json("POST", path, json={**body, "preview": True})
        else:
            preview = server_client.json("POST", f"{JOBS}/preview", json=body)
        if here.form is not True:
            print_parts(_preview_parts(preview), sys.stderr)
        if not is_sure and not _confirm_price(preview):
            raise CommandRefused("nothing was spoken")
        job: str = server_client.json("POST", path, json=body)["id"]
        typer.echo(f"The job {job} speaks it. It goes on if you leave: --job {job} fetches it.", err=True)
    finally:
        # A job has what it needs of these files.
        for id_ in ids.values():
            server_client.json("DELETE", f"{_FILES}/{id_}")
    return job


def _confirm_price(preview: dict[str, Any]) -> bool:
    if not sys.stdin.isatty():
        raise CommandRefused("this needs your yes: add --yes, as there is no terminal to ask you")
    return typer.confirm(f"Speak it for about {preview['credits']:g} credits?", err=True)


def _preview_parts(preview: dict[str, Any]) -> list[Part]:
    rows = [
        (str(each["number"]), each["title"], f"{each['seconds'] / 60:.1f}", f"{each['credits']:g}")
        for each in preview["chapters"]
    ]
    left_out = [
        Line(f"not read: {each['rule']}, {each['where']}: {' / '.join(each['sample'].splitlines())}")
        for each in preview["left_out"]
    ]
    unknown = [
        Line(f"no voice for [{name}]: it is read as text", "yellow")
        for name in preview["cast"]["without_voice"]
    ]
    minutes, steps = preview["seconds"] / 60, preview["steps"]
    total = f"{steps} steps, {minutes:.1f} minutes, about {preview['credits']:g} credits, at most"
    available = preview["available"]
    has = "" if available is None else f"; you have {available:g}"
    return [
        *([Grid(("", "chapter", "minutes", "credits"), rows)] if rows else []),
        *left_out,
        *unknown,
        *(Line(each, "yellow") for each in preview["warnings"]),
        Line(f"{total} {preview['most_credits']:g}{has}"),
    ]


def saved_parts(answer: dict[str, Any]) -> list[Part]:
    warnings = [Line(each, "yellow") for each in answer.get("warnings", ())]
    return [Line(f"saved as {answer['file']}, {answer['bytes'] / 1e6:.1f} MB"), *warnings]
