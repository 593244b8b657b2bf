"""The feature lexicons, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.lexicons.check import lexicons
from proxy.features.lexicons.records import TABLE
from proxy.features.lexicons.section import LEXICONS


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.lexicons.endpoints import LexiconEndpoints
    from proxy.features.lexicons.keeper import LexiconKeeper
    from proxy.features.lexicons.records import AccountWords

    def at(revision: HouseRevision) -> Served:
        keeper = LexiconKeeper(house.store, revision.library, revision.house.purges)
        shared = LEXICONS.of(revision.config)
        return Served(LexiconEndpoints(revision.admin_tools, keeper, shared).endpoints)

    yield Opened(house._replace(words=AccountWords(house.store)), at)


FEATURE = Feature("lexicons", _open, tables=(TABLE,), text_checks=(lexicons,))
