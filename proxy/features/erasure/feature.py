"""The feature erasure, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.feature import BackedUp, Feature, House, Opened, Served
from proxy.features.erasure import journal
from proxy.speech.on_the_way import OnTheWay
from proxy.storage.tables import Table


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.erasure.erasure import open_erasure
    from proxy.features.erasure.tap import ErasureConcern

    data, concern = Path(house.config_at_start.data), ErasureConcern(house.erased)
    async with open_erasure(
        house.store, house.vault, data, house.metrics, house.spread, house.erased
    ) as erasure:
        yield Opened(
            house._replace(erasing=erasure),
            at=lambda _revision: Served(on_the_way=OnTheWay((concern.opener,))),
            reach=erasure.reach,
            wishes=(erasure,),
        )


FEATURE = Feature(
    "erasure",
    _open,
    tables=(Table("followers"),),
    backed_up=(BackedUp(journal.FILE, journal.MOST_BYTES, journal.check, journal.merge),),
)
