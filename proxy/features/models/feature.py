"""The feature models, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, Opened


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.models.voice_reading import ConfinedReading

    reading = ConfinedReading()
    if house.engines is None:  # nothing is spoken here, so no other model is needed
        yield Opened(trained_reading=reading)
        return
    from proxy.features.models.listing import open_galleries

    yield Opened(addable=open_galleries(house.registry), trained_reading=reading)


FEATURE = Feature("models", _open)
