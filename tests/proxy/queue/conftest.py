"""A table of chores on each database."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.storage.store import Store
from tests.proxy.queue.chores import TABLES
from tests.proxy.storage.notes import open_bare


@pytest.fixture
async def store(new_store_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await open_bare(new_store_url, tmp_path)
    await opened.write(*TABLES)
    yield opened
    await opened.close()
