"""A ledger over each database; with a store whose time and answers the test has in its hand."""

from collections.abc import AsyncIterator

import pytest

from proxy.ledger import Ledger, open_ledger
from proxy.storage.store import Store
from proxy.telemetry.metrics import Metrics
from tests.proxy.ledger.asking import ANCHOR
from tests.proxy.storage.watched import WatchedStore


@pytest.fixture
async def ledger(store: Store) -> AsyncIterator[Ledger]:
    async with open_ledger(store, Metrics()) as opened:
        yield opened


@pytest.fixture
def timed(store: Store) -> WatchedStore:
    """Its clock begins at the first moment of a cycle."""
    return WatchedStore(store, ANCHOR - ANCHOR % 86_400_000_000)
