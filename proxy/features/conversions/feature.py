"""The feature conversions, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, HouseRevision, Opened, Served


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.consents.grants import Grants
    from proxy.features.conversions.endpoint import Conversions
    from proxy.features.conversions.sources import Sources

    sources, grants = Sources(house.intake), house.find(Grants)

    def at(revision: HouseRevision) -> Served:
        if revision.speaking is None or revision.answering is None:
            return Served()
        conversions = Conversions(revision.speaking, revision.answering, sources, grants, house.ledger)
        return Served(conversions.endpoints)

    yield Opened(house, at)


FEATURE = Feature("conversions", _open)
