"""How a command asks the admin handlers: of a running server, or on the store itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from proxy.cli.tables import print_answer
from proxy.config import config_toml
from proxy.config.config_toml import Config
from proxy.errors import CommandRefused

_MOST_A_PAGE = 1000
_LONG_S = 3600.0


def ask(
    config_file: Path | None,
    as_json: bool,
    show: Callable[[Any], object],
    method: str,
    path: str,
    body: Any = None,
    **query: str | int | None,
) -> Any:
    """Prints the answer, and gives it."""
    found = answer(config_toml.load(config_file), method, path, body, **query)
    print_answer(found, as_json, show)
    return found


def ask_patiently(config_file: Path | None, as_json: bool, show: Callable[[Any], object], path: str) -> Any:
    """Prints an answer that may take its time, and gives it."""
    from proxy.processes.admin_client import admin_client

    async def asked() -> Any:
        async with admin_client(config_toml.load(config_file), _LONG_S) as client:
            return await client.ask("GET", path)

    found = asyncio.run(asked())
    print_answer(found, as_json, show)
    return found


def ask_all(
    config_file: Path | None, as_json: bool, show: Callable[[Any], object], path: str, **query: str | None
) -> None:
    """Prints a list to its end, however many pages it has."""
    from proxy.processes.admin_client import admin_client

    async def asked() -> Any:
        rows: list[Any] = []
        async with admin_client(config_toml.load(config_file), _LONG_S) as client:
            page = await client.ask("GET", path, limit=_MOST_A_PAGE, **query)
            while page["has_more"]:
                rows += page["data"]
                page = await client.ask("GET", path, limit=_MOST_A_PAGE, after=page["last_id"], **query)
        return {**page, "data": rows + page["data"]}

    print_answer(asyncio.run(asked()), as_json, show)


def answer(loaded: Config, method: str, path: str, body: Any = None, **query: str | int | None) -> Any:
    # Imported here: the supervisor, which is started by a command too, has no use for an HTTP client.
    from proxy.processes.admin_client import ask_once

    return ask_once(loaded, method, path, body, **query)


def copy(config_file: Path | None, path: str, **query: str | int | None) -> None:
    """An answer that is no JSON, and may be long: to stdout as it comes."""
    from proxy.processes.admin_client import admin_client

    async def copied() -> None:
        async with admin_client(config_toml.load(config_file), _LONG_S) as client:
            async with aclosing(client.parts(path, **query)) as parts:
                async for part in parts:
                    sys.stdout.buffer.write(part)
        sys.stdout.flush()

    asyncio.run(copied())


def path(kind: str, name: str, *behind: str) -> str:
    # Quoted: an account may be named "50/50", and "ada?" must not become "ada". What a path would lose
    # even so is refused, before it means another one.
    if not name.strip("./") or name.endswith("/"):
        listing = "usage" if kind == "requests" else f"{kind} list"
        raise CommandRefused(f"{name!r} names none of the {kind}; give an id, see voxgate {listing}")
    return "/".join((kind, quote(name, safe=""), *behind))
