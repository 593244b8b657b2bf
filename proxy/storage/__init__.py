"""What the server keeps: one store, opened once by the worker (or by the CLI when no server runs).

The queries beside this file are written once, in SQL that SQLite and PostgreSQL both understand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.storage.schema import migrate
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Store

__all__ = ["check_url", "open_store"]


@asynccontextmanager
async def open_store(url: str, folder: Path) -> AsyncIterator[Store]:
    """The store named by `[storage] url`, its schema brought up to date, closed at the end.

    Raises ValueError for a url this version cannot serve, and StorageFailed when the database cannot be
    opened or belongs to a newer version.
    """
    check_url(url)
    store = await SqliteStore.open(folder / "voxgate.db")
    try:
        await migrate(store)
        yield store
    finally:
        await store.close()


def check_url(url: str) -> None:
    """Raises ValueError, saying what would be right; never repeats the url, which may hold a password."""
    if url.startswith(("postgresql://", "postgres://")):
        raise ValueError('PostgreSQL comes in a later version; set [storage] url = "sqlite"')
    if url != "sqlite":
        raise ValueError('unknown kind of storage; set [storage] url = "sqlite"')
