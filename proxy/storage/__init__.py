"""The database of the server: one store, opened once by a worker, or by the CLI when no server runs.

The queries in this folder are written once, in SQL that SQLite and PostgreSQL both understand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.config.addresses import check_storage, is_postgres
from proxy.config.sections import Storage
from proxy.storage import holds
from proxy.storage.schema import migrate
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Store
from proxy.storage.tables import Tables

__all__ = ["open_store"]


@asynccontextmanager
async def open_store(section: Storage, folder: Path, tables: Tables) -> AsyncIterator[Store]:
    """Open the store of [storage], and bring its schema up to date unless `migrate` is false. It is closed at
    the end.

    `tables` must be all tables of this version: recordings of a missing table would look left over.

    Raises ValueError when the url names no database, and StorageFailed when the database cannot be opened
    or this version does not work on its schema.
    """
    check_storage(section.url)
    is_remote = is_postgres(section.url)
    store: Store = await (_postgres(section, tables) if is_remote else _sqlite(section, folder, tables))
    try:
        yield store
    finally:
        await store.close()


async def _sqlite(section: Storage, folder: Path, tables: Tables) -> Store:
    store = await SqliteStore.open(folder / "voxgate.db", tables)
    try:
        await migrate(store, applies=section.migrate)
    except BaseException:
        await store.close()
        raise
    return store


async def _postgres(section: Storage, tables: Tables) -> Store:
    # Imported here: SQLite does not need it, and it costs 60 ms and some megabytes.
    from proxy.storage.postgres import PostgresStore, migrating

    async with migrating(section.url) as migrating_store:
        await migrate(migrating_store, applies=section.migrate)
        await holds.install_function(migrating_store)
    return await PostgresStore.open(section.url, tables=tables, connections=section.connections)
