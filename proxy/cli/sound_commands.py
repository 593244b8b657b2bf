"""Commands that ask a running server for sound or a trained voice, as any client does, and wait for it.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import io
import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from urllib.parse import quote

import typer

from proxy.cli.checked_speech import write_checked
from proxy.cli.options import ConfigFile, Printed
from proxy.cli.sound import (
    JOBS,
    FormatName,
    OutFile,
    ServerClient,
    SoundRequest,
    check_out,
    fetch_sound,
    format_of,
    read_long_recording,
    read_recording,
    save_sound,
    steps_text,
    write_answer,
    write_streamed,
)
from proxy.commands.tables import Line, Part, print_answer
from proxy.errors import CommandRefused

_NO_FILE = "conflict"
"""The error code if a finished training has no such file."""


def say(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say; - reads it from stdin.")],
    voice: Annotated[str | None, typer.Option(help="A voice; else server.default_voice.")] = None,
    model: Annotated[str | None, typer.Option(help="A model; else server.default_model.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Its language, as pt-BR; else the server finds it.")
    ] = None,
    is_checked: Annotated[
        bool, typer.Option("--heard", help="Have it checked before it is sent, and show what stayed wrong.")
    ] = False,
    format_: FormatName = None,
    out: OutFile = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Say a text with the running server: play it, or save it.

    The command sends the key in VOXGATE_KEY. Without it, it sends the key that make serve made.
    """
    from proxy.config.server_section import server_of

    check_out(out, form)
    found_format, text_to_say = format_of(format_, out), sys.stdin.read() if text == "-" else text
    if not text_to_say.strip():
        raise CommandRefused("TEXT: there is nothing to say; give a text, or - and a text on stdin")
    server = server_of(config_file)
    body = {
        "model": model or server.default_model,
        "voice": voice or server.default_voice,
        "input": text_to_say,
        "response_format": found_format,
        **({"language": language} if language else {}),
    }
    if is_checked:
        body |= {"response_format": "json", "audio_format": found_format, "check": "heard"}
    sound_request = SoundRequest("/v1/audio/speech", {"json": body}, found_format, out)
    fetch_sound(server, sound_request, form, write_checked if is_checked else write_streamed)


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
        str, typer.Option(help="The id of the speaker's consent; true states that the speaker agrees.")
    ] = "",
    format_: FormatName = None,
    out: OutFile = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Repeat a recording in another voice: play it, or save it.

    The running server converts it. A recording of more than five minutes becomes a job. The command sends the
    key in VOXGATE_KEY. Without it, it sends the key that make serve made.
    """
    from proxy.config.server_section import server_of
    from proxy.http.form import MOST_FILE_BYTES, RECORDING_TOO_LARGE

    check_out(out, form)
    found_format = format_of(format_, out)
    data = read_recording(recording, MOST_FILE_BYTES, RECORDING_TOO_LARGE)
    fields = {
        "model": model,
        "voice": voice,
        "pitch": str(pitch),
        "response_format": found_format,
        **({"consent": consent} if consent else {}),
    }
    options = {"index_rate": index_rate, "protect": protect, "rms_mix_rate": rms_mix_rate, "seed": seed}
    fields |= {name: str(value) for name, value in options.items() if value is not None}
    fields |= {"f0_method": f0_method} if f0_method is not None else {}
    body: dict[str, Any] = {"data": fields, "files": {"file": (recording.name, data)}}
    server = server_of(config_file)
    sound_request = SoundRequest("/v1/audio/conversions", body, found_format, out)
    try:
        fetch_sound(server, sound_request, form)
    except CommandRefused as refused:
        if refused.code != "recording_too_long":
            raise
        job_body = {**body, "data": {**fields, "kind": "conversion"}}
        fetch_sound(server, sound_request._replace(path=JOBS, body=job_body), form, _write_job)


def train(
    voice: Annotated[str, typer.Argument(metavar="VOICE", help="An own voice, with 20 recordings or more.")],
    model: Annotated[str, typer.Option(help="A model that trains, as rvc/standard.")],
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="First cut this recording of 3 to 40 minutes; it costs a transcription."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Equal seeds learn alike.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Save the voice here, as ONNX.")] = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Train a voice with the running server, and wait. The job goes on if the command ends first.

    The command sends the key in VOXGATE_KEY. Without it, it sends the key that make serve made.
    """
    from proxy.config.server_section import server_of

    if out is not None and out.suffix.lower() != ".onnx":
        raise CommandRefused(f"{out}: it is ONNX; name it .onnx, or see voxgate voices export --model")
    job_fields = {"kind": "training", "voice": voice, "model": model}
    body = {
        **job_fields,
        **({} if steps is None else {"steps": steps}),
        **({} if seed is None else {"seed": seed}),
    }
    sound_request = SoundRequest(JOBS, {"json": body}, "onnx", None if out is None else str(out))
    trained_file, write = io.BytesIO(), _train_and_wait
    if from_ is not None:
        files = {"file": (from_.name, read_long_recording(from_))}
        cut_request = f"/v1/audio/voices/{quote(voice, safe='')}/samples?cut=true"
        write = partial(_cut_and_train, SoundRequest(cut_request, {"files": files}, "json", None))
    answer = write_answer(server_of(config_file), sound_request, trained_file, write)
    if out is not None:
        save_sound(trained_file.getvalue(), "onnx", str(out))
    print_answer({**answer, "file": None if out is None else str(out)}, form, _show_trained)


def _write_job(server_client: ServerClient, sound_request: SoundRequest, to: BinaryIO) -> dict[str, Any]:
    """Convert the recording with a job, and write the job's sound. Raise CommandRefused."""
    job = server_client.run_job(sound_request, "It is long: the job {} converts it.", steps_text)
    _, size = server_client.fetch(to, "GET", f"{JOBS}/{job['id']}/content")
    job_fields = sound_request.body["data"]
    # A job does not tell which model spoke. This is the requested one.
    facts = {"engine": job_fields["model"], "voice": job_fields["voice"], "language": "und"}
    return {**facts, "substitute": job["substitute"] or None, "bytes": size}


def _cut_and_train(
    cut_request: SoundRequest, server_client: ServerClient, sound_request: SoundRequest, to: BinaryIO
) -> dict[str, Any]:
    """Cut a recording into clips of the voice, then train it."""
    job = server_client.run_job(cut_request, "The job {} cuts it.", steps_text)
    report = io.BytesIO()
    server_client.fetch(report, "GET", f"{JOBS}/{job['id']}/content")
    found = json.loads(report.getvalue())
    left_out = sum(found["left_out"].values())
    typer.echo(f"{found['clips']} clips, {left_out} left out, {job['credits']:g} credits", err=True)
    return _train_and_wait(server_client, sound_request, to)


def _train_and_wait(server_client: ServerClient, sound_request: SoundRequest, to: BinaryIO) -> dict[str, Any]:
    """Ask for a training and wait for its end. With `out`, write the trained file."""
    job = server_client.run_job(sound_request, "The job {} trains it.", _training_progress)
    training: dict[str, Any] = job["training"]
    if sound_request.out is not None:
        try:
            server_client.fetch(to, "GET", f"{JOBS}/{job['id']}/content")
        except CommandRefused as refused:
            if refused.code != _NO_FILE:
                raise
            raise CommandRefused(_without_file(training)) from None
    return {
        "job": job["id"],
        "voice": training["voice"],
        "steps": training["step"],
        "best": training["best"],
    }


def _without_file(training: dict[str, Any]) -> str:
    # The training was long and is charged. A bare refusal would read as if it were lost.
    voice = training["voice"]
    return (
        f"{voice} is trained, in {training['step']} steps, and charged; only the file is missing: it has no "
        f"ONNX. Take it home in another form: voxgate voices export {voice} --model"
    )


def _training_progress(job: dict[str, Any]) -> str:
    if job["waits_for"]:
        return f"waits for {job['waits_for']}"
    training = job["training"]
    if training["stage"] != "training":
        return training["stage"] or "queued"
    left = (
        "" if training["eta_seconds"] is None else f", about {training['eta_seconds'] / 60:.0f} minutes left"
    )
    return f"step {training['step']} of {training['steps']}, {training['mel']:.1f} from its recordings{left}"


def _show_trained(answer: dict[str, Any]) -> list[Part]:
    lines: list[Part] = [Line(f"{answer['voice']} is trained, in {answer['steps']} steps.")]
    if answer["file"]:
        lines.append(Line(f"Saved as {answer['file']}."))
    return lines
