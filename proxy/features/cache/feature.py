"""The feature cache, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.cache import check
from proxy.features.cache.records import TABLE


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.cache.cache import open_cache

    async with open_cache(
        house.config_at_start, house.store, house.front_end_revision, house.metrics
    ) as cache:

        def at(revision: HouseRevision) -> Served:
            cache.revise(revision.config)
            return Served()

        furnished = house._replace(source=cache, purges=cache)
        yield Opened(furnished, at, memories=(cache,), files=(cache,))


FEATURE = Feature("cache", _open, tables=(TABLE,), text_checks=(check.cache,))
