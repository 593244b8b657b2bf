"""`voxgate train`: has a running server train a voice, and tells how far that is."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from proxy.cli.options import ConfigFile, Printed
from proxy.cli.sound import JOBS, AnswerRefused, Asked, Serving, save, write_answer
from proxy.commands.tables import Line, Part, print_answer
from proxy.errors import CommandRefused
from proxy.features.all import load_config

_NO_FILE = "conflict"
"""The code of a file that a training that is done does not have."""


def train(
    voice: Annotated[str, typer.Argument(metavar="VOICE", help="An own voice, with 20 recordings or more.")],
    model: Annotated[str, typer.Option(help="A model that trains, as rvc/standard.")],
    steps: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Equal seeds learn alike.")] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Save the voice here, as ONNX.")] = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Train a voice with the running server, and wait. The job goes on if the command ends before.

    Its key is VOXGATE_KEY of the environment, or else that of make serve.
    """
    if out is not None and out.suffix.lower() != ".onnx":
        raise CommandRefused(f"{out}: it is ONNX; name it .onnx, or see voxgate voices export --model")
    sent = {"kind": "training", "voice": voice, "model": model}
    body = {**sent, **({} if steps is None else {"steps": steps}), **({} if seed is None else {"seed": seed})}
    asked = Asked(JOBS, {"json": body}, "onnx", None if out is None else str(out))
    made = io.BytesIO()
    answer = write_answer(load_config(config_file), asked, made, _follow)
    if out is not None:
        save(made.getvalue(), "onnx", str(out))
    print_answer({**answer, "file": None if out is None else str(out)}, form, _trained)


def _follow(serving: Serving, asked: Asked, to: BinaryIO) -> dict[str, Any]:
    """Ask for a training, wait for its end, and write what is taken home, if it is wanted."""
    job = serving.follow(asked, "The job {} trains it.", _progress)
    told: dict[str, Any] = job["training"]
    if asked.out is not None:
        try:
            serving.fetch(to, "GET", f"{JOBS}/{job['id']}/content")
        except AnswerRefused as refused:
            if refused.code != _NO_FILE:
                raise
            raise CommandRefused(_without_file(told)) from None
    return {"job": job["id"], "voice": told["voice"], "steps": told["step"], "best": told["best"]}


def _without_file(told: dict[str, Any]) -> str:
    # It was long, and is paid for: a refusal alone reads as if all of that were lost.
    voice = told["voice"]
    return (
        f"{voice} is trained, in {told['step']} steps, and charged; only the file is missing: it has no "
        f"ONNX. Take it home in another form: voxgate voices export {voice} --model"
    )


def _progress(job: dict[str, Any]) -> str:
    if job["waits_for"]:
        return f"waits for {job['waits_for']}"
    told = job["training"]
    if told["stage"] != "training":
        return told["stage"] or "queued"
    left = "" if told["eta_seconds"] is None else f", about {told['eta_seconds'] / 60:.0f} minutes left"
    return f"step {told['step']} of {told['steps']}, {told['mel']:.1f} from its recordings{left}"


def _trained(answer: dict[str, Any]) -> list[Part]:
    lines: list[Part] = [Line(f"{answer['voice']} is trained, in {answer['steps']} steps.")]
    if answer["file"]:
        lines.append(Line(f"Saved as {answer['file']}."))
    return lines
