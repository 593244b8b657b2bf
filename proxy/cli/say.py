"""`voxgate say`: asks a running server for speech as any client does, and plays it or saves it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from proxy.cli.options import ConfigFile, Printed
from proxy.cli.sound import Asked, FormatName, OutFile, check_out, format_of, hear
from proxy.errors import CommandRefused
from proxy.features.all import load_config


def say(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say; - reads it from stdin.")],
    voice: Annotated[str | None, typer.Option(help="A voice; else server.default_voice.")] = None,
    model: Annotated[str | None, typer.Option(help="A model; else server.default_model.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Its language, as pt-BR; else the server finds it.")
    ] = None,
    format_: FormatName = None,
    out: OutFile = None,
    config_file: ConfigFile = None,
    form: Printed = None,
) -> None:
    """Say a text with the running server: play it, or save it.

    Its key is VOXGATE_KEY of the environment, or else that of make serve.
    """
    check_out(out, form)
    found_format, said = format_of(format_, out), sys.stdin.read() if text == "-" else text
    if not said.strip():
        raise CommandRefused("TEXT: there is nothing to say; give a text, or - and a text on stdin")
    config = load_config(config_file)
    body = {
        "model": model or config.server.default_model,
        "voice": voice or config.server.default_voice,
        "input": said,
        "response_format": found_format,
        **({"language": language} if language else {}),
    }
    hear(config, Asked("/v1/audio/speech", {"json": body}, found_format, out), form)
