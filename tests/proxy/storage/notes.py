"""What the driver's tests write and how they look at it: through a connection of their own."""

import resource
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.config.addresses import is_postgres
from proxy.feature_list import all_tables
from proxy.storage.postgres import PostgresStore
from proxy.storage.schema import migrate
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Statement, Store

NOTES = Statement("CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL)")


async def open_bare(url: str, folder: Path) -> Store:
    """The driver alone: no migrations, nothing in it."""
    return await (PostgresStore.open(url) if is_postgres(url) else SqliteStore.open(folder / "voxgate.db"))


def migrated(kind: type[SqliteStore]) -> Any:
    """A fixture: a store of this kind, with the tables of all features."""

    @pytest.fixture
    async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
        opened = await kind.open(tmp_path / "voxgate.db", all_tables())
        await migrate(opened)
        yield opened
        await opened.close()

    return store


def note(id_: str, text: str = "") -> Statement:
    return Statement("INSERT INTO notes (id, text) VALUES (:id, :text)", {"id": id_, "text": text})


def ids_on_disk(path: Path) -> set[str]:
    """What somebody else sees: only what was committed."""
    with closing(sqlite3.connect(path)) as connection:
        return {id_ for (id_,) in connection.execute("SELECT id FROM notes")}


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to grow any file of this process past `size`, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
