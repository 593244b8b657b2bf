"""`voxgate init shop`: a configuration to begin with.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated

import typer

from proxy.cli.diagnosis import check
from proxy.cli.options import Printed
from proxy.commands.command import Group
from proxy.errors import CommandRefused

_SHOP = Path(__file__).parents[1] / "features" / "payments" / "shop.toml"
_PUBLIC_URL = re.compile(r'^public_url = ".*"$', re.MULTILINE)


def shop(
    public_url: Annotated[
        str | None, typer.Option(help="The server's address as others reach it, https://….")
    ] = None,
    form: Printed = None,
) -> None:
    """Write ./config.toml for a server that sells speech, and check it.

    A file `secrets` beside it becomes `secrets_file`.
    """
    text, file = _SHOP.read_text(), Path("config.toml")
    if public_url is not None:
        line = f"public_url = {json.dumps(_check_public_url(public_url), ensure_ascii=False)}"
        text = _PUBLIC_URL.sub(lambda _: line, text, count=1)
    if Path("secrets").exists():
        text = text.replace("# secrets_file", "secrets_file")
    try:
        # O_EXCL also refuses a link: what is there stays.
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as opened:
            opened.write(text)
    except FileExistsError:
        raise CommandRefused(f"{file} is there already; move it away, or go to another folder") from None
    except OSError as error:
        raise CommandRefused(f"{file.absolute()} cannot be written: {error.strerror}") from None
    typer.echo(f"{file} is written, with what `voxgate check` finds in it:", err=True)
    check(config_file=file, form=form)


def _check_public_url(public_url: str) -> str:
    """Return the address. Raise ConfigError if a server could not have it."""
    from proxy.config.config_file import read_server
    from proxy.config.reader import Reader

    reader = Reader("--public-url")
    read_server(reader, {"public_url": public_url})
    reader.raise_if_wrong()
    if not public_url:
        raise CommandRefused("--public-url is empty; name the address that buyers open")
    return public_url


INIT = Group("init", "A configuration to begin with.", typer_functions={"shop": shop})
