"""The feature consents, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, Opened, Served
from proxy.features.consents.check import comparer, needs_plugins
from proxy.features.consents.records import TABLE


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.consents.comparison import open_comparison
    from proxy.features.consents.endpoints import Consents
    from proxy.features.consents.grants import Grants
    from proxy.features.consents.keeper import ConsentKeeper

    async with open_comparison(house.registry, house.config_at_start) as comparison:
        keeper = ConsentKeeper(house.store, house.vault, house.intake, comparison, house.erasing.erase)
        yield Opened(
            house.sharing(Grants(house.store, keeper.compare)),
            at=lambda revision: Served(Consents(revision.admin_tools, keeper).endpoints),
        )


FEATURE = Feature("consents", _open, tables=(TABLE,), checks=(comparer,), needs_plugins=needs_plugins)
