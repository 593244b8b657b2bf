"""The requests of commands to the admin handlers: of a running server, or on the store itself.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from proxy.cli.options import Form, asks, be_sure
from proxy.cli.tables import Show, print_answer
from proxy.errors import CommandRefused

if TYPE_CHECKING:
    from proxy.processes.admin_client import AdminClient

_MOST_A_PAGE = 1000
_LONG_S = 3600.0


def ask(
    config_file: Path | None,
    form: Form,
    show: Show,
    method: str,
    path: str,
    body: Any = None,
    **query: str | int | None,
) -> Any:
    """Ask once. Print the answer, and return it."""
    from proxy.config import config_toml
    from proxy.processes.admin_client import ask_once

    found = ask_once(config_toml.load(config_file), method, path, body, **query)
    print_answer(found, form, show)
    return found


def be_sure_of(
    config_file: Path | None, is_sure: bool, question: str, path: str, **query: str | int | None
) -> None:
    """Ask as `be_sure` does, but about nothing that does not exist. Raise CommandRefused."""
    from proxy.config import config_toml
    from proxy.processes.admin_client import ask_once

    if asks(is_sure):
        ask_once(config_toml.load(config_file), "GET", path, **query)
        be_sure(is_sure, question)


def ask_patiently(config_file: Path | None, form: Form, show: Show, path: str) -> Any:
    """Ask once, and wait long. Print the answer, and return it."""
    import asyncio

    from proxy.config import config_toml
    from proxy.processes.admin_client import admin_client

    async def request() -> Any:
        async with admin_client(config_toml.load(config_file), _LONG_S) as client:
            return await client.ask("GET", path)

    found = asyncio.run(request())
    print_answer(found, form, show)
    return found


def send_file(
    config_file: Path | None,
    form: Form,
    show: Show,
    path: str,
    fields: Mapping[str, str | Sequence[str] | None],
    name: str,
    file: Path,
) -> Any:
    """Send a file with fields; those that are None or empty are left out. Print the answer, and return it."""
    given = {key: value for key, value in fields.items() if value}
    found = send_files(config_file, path, given, {name: file}, "it is decoded, measured and sealed")
    print_answer(found, form, show)
    return found


def send_files(
    config_file: Path | None,
    path: str,
    fields: Mapping[str, str | Sequence[str]],
    files: Mapping[str, Path],
    work: str,
) -> Any:
    """Send files with fields, and return the answer. While a person waits, stderr says for what `work`."""
    import asyncio

    from rich.console import Console

    from proxy.config import config_toml
    from proxy.processes.admin_client import admin_client

    data = {}
    for name, file in files.items():
        try:
            data[name] = file.read_bytes()
        except OSError as error:
            raise CommandRefused(f"{file}: {error.strerror}") from None

    async def request() -> Any:
        async with admin_client(config_toml.load(config_file), _LONG_S) as client:
            return await client.send(path, fields, data)

    with Console(stderr=True).status(f"{next(iter(files.values())).name}: {work} …"):
        return asyncio.run(request())


def save(config_file: Path | None, path: str, file: Path, **query: str | int | None) -> int:
    """Write an answer that is no JSON to a new file, which only its owner can read. Return its size."""
    import asyncio
    import os

    from proxy.config import config_toml
    from proxy.processes.admin_client import admin_client

    async def fetch() -> bytes:
        async with admin_client(config_toml.load(config_file), _LONG_S) as client:
            async with aclosing(client.parts(path, **query)) as parts:
                return b"".join([part async for part in parts])

    data = asyncio.run(fetch())
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(data)
    except OSError as error:
        raise CommandRefused(f"{file}: {error.strerror}") from None
    return len(data)


def ask_named(config_file: Path | None, form: Form, show: Show, path: str, **query: str | int | None) -> None:
    """Print a page whose rows have ids of accounts. Tables also get the names of these accounts."""
    _print_rows(config_file, form, show, path, query, is_whole=False)


def ask_all(config_file: Path | None, form: Form, show: Show, path: str, **query: str | int | None) -> None:
    """Print a list with all its pages, as `ask_named` does."""
    _print_rows(config_file, form, show, path, query, is_whole=True)


def _print_rows(
    config_file: Path | None,
    form: Form,
    show: Show,
    path: str,
    query: Mapping[str, str | int | None],
    is_whole: bool,
) -> None:
    import asyncio

    from proxy.config import config_toml
    from proxy.processes.admin_client import admin_client

    async def request() -> Any:
        async with admin_client(config_toml.load(config_file), _LONG_S) as client:
            answer = await (
                _all_pages(client, path, **query) if is_whole else client.ask("GET", path, **query)
            )
            if form is True or not any(row.get("account") for row in answer["data"]):
                return answer
            accounts = await _all_pages(client, "accounts")
            return {**answer, "account_names": {row["id"]: row["name"] for row in accounts["data"]}}

    print_answer(asyncio.run(request()), form, show)


async def _one_page(client: AdminClient, path: str, **query: str | int | None) -> Any:
    return await client.ask("GET", path, **query)


async def _all_pages(client: AdminClient, path: str, **query: str | int | None) -> Any:
    rows: list[Any] = []
    page = await client.ask("GET", path, limit=_MOST_A_PAGE, **query)
    while page["has_more"]:
        rows += page["data"]
        page = await client.ask("GET", path, limit=_MOST_A_PAGE, after=page["last_id"], **query)
    return {**page, "data": rows + page["data"]}


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


def failures() -> tuple[type[Exception], ...]:
    """Return what a command may fail with, in one line for the person who typed it."""
    from proxy.config.config_toml import ConfigError
    from proxy.storage.store import StorageFailed

    return (ConfigError, CommandRefused, StorageFailed)
