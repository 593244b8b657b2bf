"""The feature lexicons, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.lexicons.check import lexicons
from proxy.features.lexicons.records import TABLE


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.lexicons.endpoints import LexiconEndpoints
    from proxy.features.lexicons.keeper import LexiconKeeper
    from proxy.features.lexicons.records import AccountWords

    def at(revision: HouseRevision) -> Served:
        keeper = LexiconKeeper(house.store, revision.library, revision.purges)
        return Served(LexiconEndpoints(revision.admin_tools, keeper, revision.config.lexicons).endpoints)

    yield Opened(at=at, words=AccountWords(house.store))


FEATURE = Feature("lexicons", _open, tables=(TABLE,), text_checks=(lexicons,))
