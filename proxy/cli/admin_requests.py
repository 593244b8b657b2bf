"""The requests of commands to the admin handlers: of a running server, or on the store itself.

The imports inside functions are slow, and `voxgate --help` needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proxy.commands.command import Ask
from proxy.commands.options import asks, be_sure
from proxy.commands.tables import Form, Show, print_answer
from proxy.errors import CommandRefused
from proxy.features.all import load_config

if TYPE_CHECKING:
    from proxy.processes.admin_client import AdminClient

_MOST_A_PAGE = 1000
_SHORT_S = 30.0
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
    return show_answer(Ask(method, path, body, query), config_file, form, show)


def show_answer(ask: Ask, config_file: Path | None, form: Form, show: Show) -> Any:
    """Ask. Print the answer, and return it."""
    found = answer_to(ask, config_file, form)
    print_answer(found, form, show)
    return found


def answer_to(ask: Ask, config_file: Path | None, form: Form) -> Any:
    """Ask, and return the answer. Raise CommandRefused."""
    import asyncio

    from proxy.processes.admin_client import admin_client, ask_once

    if ask.to is not None:
        return _save(config_file, ask, ask.to)
    config = load_config(config_file)
    if ask.question and asks(is_sure=False):
        if ask.looks:
            # A person is asked about nothing that does not exist.
            ask_once(config, "GET", ask.path, **ask.query)
        be_sure(False, ask.question)
    data = {name: _read(file) for name, file in ask.files.items()}

    async def request() -> Any:
        within_s = _LONG_S if ask.is_long or ask.pages or data else _SHORT_S
        async with admin_client(config, within_s) as client:
            if data:
                fields = {name: field for name, field in ask.body.items() if field}
                return await client.send(ask.path, fields, data, **ask.query)
            if ask.pages:
                return await _rows(client, ask, with_names=form is not True)
            return await client.ask(ask.method, ask.path, ask.body, **ask.query)

    if not data:
        return asyncio.run(request())
    from rich.console import Console

    with Console(stderr=True).status(f"{next(iter(ask.files.values())).name}: {ask.work} …"):
        return asyncio.run(request())


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise CommandRefused(f"{file}: {error.strerror}") from None


async def _rows(client: AdminClient, ask: Ask, with_names: bool) -> Any:
    """Ask for rows. Tables also get the names of the accounts whose ids are in them."""
    answer = await (
        _all_pages(client, ask.path, **ask.query)
        if ask.pages == "all"
        else client.ask("GET", ask.path, **ask.query)
    )
    if not with_names or not any(row.get("account") for row in answer["data"]):
        return answer
    accounts = await _all_pages(client, "accounts")
    return {**answer, "account_names": {row["id"]: row["name"] for row in accounts["data"]}}


async def _all_pages(client: AdminClient, path: str, **query: str | int | None) -> Any:
    rows: list[Any] = []
    page = await client.ask("GET", path, limit=_MOST_A_PAGE, **query)
    while page["has_more"]:
        rows += page["data"]
        page = await client.ask("GET", path, limit=_MOST_A_PAGE, after=page["last_id"], **query)
    return {**page, "data": rows + page["data"]}


def _save(config_file: Path | None, ask: Ask, file: Path) -> dict[str, Any]:
    """Write an answer that is no JSON to a new file, which only its owner can read."""
    import os

    data = bytearray()
    copy(config_file, ask.path, data.extend, **ask.query)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(data)
    except OSError as error:
        raise CommandRefused(f"{file}: {error.strerror}") from None
    return {"file": str(file), "bytes": len(data)}


def copy(
    config_file: Path | None, path: str, write: Callable[[bytes], object], **query: str | int | None
) -> None:
    """Write an answer that is no JSON, as it comes."""
    import asyncio

    from proxy.processes.admin_client import admin_client

    async def write_parts() -> None:
        async with admin_client(load_config(config_file), _LONG_S) as client:
            async with aclosing(client.parts(path, **query)) as parts:
                async for part in parts:
                    write(part)

    asyncio.run(write_parts())


def failures() -> tuple[type[Exception], ...]:
    """Return what a command may fail with, in one line for the person who typed it."""
    from proxy.config.config_toml import ConfigError
    from proxy.storage.store import StorageFailed

    return (ConfigError, CommandRefused, StorageFailed)
