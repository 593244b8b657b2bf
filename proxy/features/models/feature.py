"""The feature models, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, Opened


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    if house.engines is None:  # nothing is spoken here, so no other model is needed
        yield Opened(house)
        return
    from proxy.features.models.listing import open_galleries

    yield Opened(house._replace(addable=open_galleries(house.registry).command_for))


FEATURE = Feature("models", _open)
