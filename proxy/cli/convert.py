"""`voxgate convert`: has a running server repeat a recording in another voice, and plays it or saves it.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from proxy.cli.options import ConfigFile, Printed
from proxy.cli.sound import (
    JOBS,
    AnswerRefused,
    Asked,
    FormatName,
    OutFile,
    Serving,
    check_out,
    format_of,
    hear,
)
from proxy.errors import CommandRefused
from proxy.features.all import load_config


def convert(
    recording: Annotated[Path, typer.Argument(metavar="RECORDING", help="What is said again.")],
    model: Annotated[str, typer.Option(help="A model that converts, as rvc/standard.")],
    voice: Annotated[str, typer.Option(help="The voice that says it.")],
    pitch: Annotated[float, typer.Option(min=-12, max=12, help="Semitones up or down.")] = 0.0,
    index_rate: Annotated[
        float | None, typer.Option(help="How much of the voice's index is used, 0 to 1, where it has one.")
    ] = None,
    protect: Annotated[
        float | None, typer.Option(help="What keeps breaths and consonants, 0 to 0.5; 0.5 is off.")
    ] = None,
    rms_mix_rate: Annotated[
        float | None, typer.Option(help="1 keeps the voice's loudness, 0 takes the recording's.")
    ] = None,
    f0_method: Annotated[str | None, typer.Option(help="What hears the melody: pm or rmvpe.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Equal seeds sound equal.")] = None,
    consent: Annotated[
        str, typer.Option(help="A consent of who speaks in it; by true, you say that they agree.")
    ] = "",
    format_: FormatName = None,
    out: OutFile = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Repeat a recording in another voice: play it, or save it.

    The running server does it; of more than five minutes, it makes a job. The key is VOXGATE_KEY of the
    environment, or else that of make serve.
    """
    check_out(out, form)
    found_format = format_of(format_, out)
    data = _read(recording)
    fields = {
        "model": model,
        "voice": voice,
        "pitch": str(pitch),
        "response_format": found_format,
        **({"consent": consent} if consent else {}),
    }
    given = {"index_rate": index_rate, "protect": protect, "rms_mix_rate": rms_mix_rate, "seed": seed}
    fields |= {name: str(value) for name, value in given.items() if value is not None}
    fields |= {"f0_method": f0_method} if f0_method is not None else {}
    body: dict[str, Any] = {"data": fields, "files": {"file": (recording.name, data)}}
    config, asked = load_config(config_file), Asked("/v1/audio/conversions", body, found_format, out)
    try:
        hear(config, asked, form)
    except AnswerRefused as refused:
        if refused.code != "recording_too_long":
            raise
        body["data"] = {**fields, "kind": "conversion"}
        hear(config, asked._replace(path=JOBS), form, _write_job)


def _write_job(serving: Serving, asked: Asked, to: BinaryIO) -> dict[str, Any]:
    """Have a job convert it, and write its sound. Raise CommandRefused."""
    job = serving.follow(asked, "It is long: the job {} converts it.", _progress)
    _, size = serving.fetch(to, "GET", f"{JOBS}/{job['id']}/content")
    sent = asked.body["data"]
    facts = {"engine": sent["model"], "voice": sent["voice"], "language": "und"}
    return {**facts, "substitute": job["substitute"] or None, "bytes": size}


def _progress(job: dict[str, Any]) -> str:
    waits = f", waits for {job['waits_for']}" if job["waits_for"] else ""
    return f"{job['steps_done']} of {job['steps']} steps{waits}"


def _read(recording: Path) -> bytes:
    """Return a recording that a request can bring. Raise CommandRefused."""
    from proxy.api.conversion_form import TOO_LARGE
    from proxy.http.form import MOST_FILE_BYTES

    try:
        data = recording.read_bytes()
    except OSError as error:
        raise CommandRefused(f"{recording}: {error.strerror}") from None
    if len(data) > MOST_FILE_BYTES:
        raise CommandRefused(f"{recording}: {TOO_LARGE}")
    return data
