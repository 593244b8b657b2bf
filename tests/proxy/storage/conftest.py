"""The stores that every test of a query runs on; a new driver arrives by adding a row."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.storage import open_store
from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Statement, Store

ALL_STORES = ("sqlite",)


@pytest.fixture(params=ALL_STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A bare SQLite store with one table of notes, for what only this driver promises."""
    opened = await SqliteStore.open(tmp_path / "voxgate.db")
    await opened.write(Statement("CREATE TABLE notes (id TEXT PRIMARY KEY, text TEXT NOT NULL)"))
    yield opened
    await opened.close()
