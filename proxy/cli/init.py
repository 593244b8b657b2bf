"""`voxgate init shop`: a configuration to begin with. Slow imports are inside functions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from proxy.cli.diagnosis import check
from proxy.cli.options import Printed
from proxy.commands.command import Group
from proxy.errors import CommandRefused

_SHOP = Path(__file__).parents[1] / "features" / "payments" / "shop.toml"
_PUBLIC_URL = 'public_url = "https://voice.example.org"'


def shop(
    public_url: Annotated[
        str | None, typer.Option(help="The server's address as others reach it, https://….")
    ] = None,
    voices: Annotated[Literal["natural", "plain"], typer.Option(help="plain: a robot's.")] = "natural",
    form: Printed = None,
) -> None:
    """Write a shop's ./config.toml, fetch natural voices, and check all.

    A file `secrets` beside it becomes `secrets_file`.
    """
    from proxy.config.config_file import read_server
    from proxy.config.reader import Reader

    text, file = _SHOP.read_text(), Path("config.toml")
    if public_url is not None:
        reader = Reader("--public-url")
        read_server(reader, {"public_url": public_url})
        reader.raise_if_wrong()
        if not public_url:
            raise CommandRefused("--public-url is empty; name the address that buyers open")
        text = text.replace(_PUBLIC_URL, f"public_url = {json.dumps(public_url, ensure_ascii=False)}")
    if Path("secrets").exists():
        text = text.replace("# secrets_file", "secrets_file")
    try:
        with file.open("x") as opened:  # also refuses a link: what is there stays
            try:
                if voices == "natural":
                    # The file is empty yet, since voices need none of the secrets that it will name. First a
                    # voice that speaks soon, then all: if those fail, the first one stays.
                    fetch = natural_command(file)
                    if subprocess.run((*fetch, "--at-start"), check=False, stdout=subprocess.PIPE).stdout:
                        subprocess.run(fetch, check=False, stdout=subprocess.DEVNULL)
            finally:
                opened.write(text)
    except FileExistsError:
        raise CommandRefused(f"{file} is there already; move it away, or go to another folder") from None
    except OSError as error:
        raise CommandRefused(f"{file.absolute()} cannot be written: {error.strerror}") from None
    typer.echo(f"{file} is written, with what `voxgate check` finds in it:", err=True)
    check(config_file=file, form=form)


def natural_command(config_file: Path | None) -> tuple[str, ...]:
    """Return the command that fetches natural voices in a process of its own, which may fail."""
    config_option = () if config_file is None else ("--config", str(config_file))
    # The script's folder stays out of the import path: `python -m proxy` is a file beside our `http`.
    return (sys.executable, "-P", sys.argv[0], "voices", "natural", *config_option)


INIT = Group("init", "A configuration to begin with.", typer_functions={"shop": shop})
