"""The requests of commands to the admin handlers: of a running server, or on the store itself.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from proxy.cli.tables import print_answer
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
    """Ask once. Print the answer, and return it."""
    from proxy.config import config_toml
    from proxy.processes.admin_client import ask_once

    found = ask_once(config_toml.load(config_file), method, path, body, **query)
    print_answer(found, as_json, show)
    return found


def ask_patiently(config_file: Path | None, as_json: bool, show: Callable[[Any], object], path: str) -> Any:
    """Ask once, and wait long. Print the answer, and return it."""
    import asyncio

    from proxy.config import config_toml
    from proxy.processes.admin_client import admin_client

    async def request() -> Any:
        async with admin_client(config_toml.load(config_file), _LONG_S) as client:
            return await client.ask("GET", path)

    found = asyncio.run(request())
    print_answer(found, as_json, show)
    return found


def ask_all(
    config_file: Path | None, as_json: bool, show: Callable[[Any], object], path: str, **query: str | None
) -> None:
    """Print a list with all its pages."""
    import asyncio

    from proxy.config import config_toml
    from proxy.processes.admin_client import admin_client

    async def request() -> Any:
        rows: list[Any] = []
        async with admin_client(config_toml.load(config_file), _LONG_S) as client:
            page = await client.ask("GET", path, limit=_MOST_A_PAGE, **query)
            while page["has_more"]:
                rows += page["data"]
                page = await client.ask("GET", path, limit=_MOST_A_PAGE, after=page["last_id"], **query)
        return {**page, "data": rows + page["data"]}

    print_answer(asyncio.run(request()), as_json, show)


def copy(config_file: Path | None, path: str, **query: str | int | None) -> None:
    """Write an answer that is no JSON to stdout, as it comes."""
    import asyncio

    from proxy.config import config_toml
    from proxy.processes.admin_client import admin_client

    async def write_parts() -> None:
        async with admin_client(config_toml.load(config_file), _LONG_S) as client:
            async with aclosing(client.parts(path, **query)) as parts:
                async for part in parts:
                    sys.stdout.buffer.write(part)
        sys.stdout.flush()

    asyncio.run(write_parts())


def path(kind: str, name: str, *behind: str) -> str:
    # Quoted: an account may be named "50/50", and "ada?" must not become "ada". A name that a path would
    # still lose is refused, because the path would mean something else.
    if not name.strip("./") or name.endswith("/"):
        listing = "usage" if kind == "requests" else f"{kind} list"
        raise CommandRefused(f"{name!r} names none of the {kind}; give an id, see voxgate {listing}")
    return "/".join((kind, quote(name, safe=""), *behind))
