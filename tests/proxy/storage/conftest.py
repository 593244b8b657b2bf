"""Bare stores with one table of notes, for what is promised below the queries."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.storage.sqlite import SqliteStore
from proxy.storage.store import Store
from tests.proxy.storage.notes import NOTES, open_bare


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(tmp_path / "voxgate.db")
    await opened.write(NOTES)
    yield opened
    await opened.close()


@pytest.fixture
async def bare(new_store_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    """Any store before its migrations."""
    opened = await open_bare(new_store_url, tmp_path)
    yield opened
    await opened.close()
