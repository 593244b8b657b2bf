"""The feature clones, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.clones.check import clones
from proxy.features.clones.records import TABLE
from proxy.features.consents.grants import Grants
from proxy.features.webhooks.courier import Courier


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.clones.bills import CloneBills
    from proxy.features.clones.endpoints import Clones
    from proxy.features.clones.maker import CloneMaker
    from proxy.features.clones.metrics import CloneMetrics
    from proxy.features.clones.orders import CloneOrders
    from proxy.features.clones.recordings import CloneRecordings

    maker: CloneMaker | None = None
    grants = house.find(Grants)
    if house.engines is not None:
        recordings = CloneRecordings(house.store, house.own_voices, house.samples, grants)
        bills = CloneBills(house.ledger, CloneMetrics(house.metrics.registry))
        maker = CloneMaker(house.store, house.engines, recordings, bills, house.find(Courier))
        house.engines.on_loss(maker.look_soon)
    orders = CloneOrders(house.store, grants, maker)

    def at(revision: HouseRevision) -> Served:
        if maker is not None and revision.budgets is not None:
            maker.revise(revision.config, revision.budgets, revision.library.forget)
        return Served(Clones(revision.admin_tools, revision.library, orders).endpoints)

    furnished = house._replace(clones=orders)
    if maker is None:
        yield Opened(furnished, at)
    else:
        yield Opened(furnished, at, is_gone=maker.wait_until_gone, wishes=(maker,))


FEATURE = Feature("clones", _open, tables=(TABLE,), checks=(clones,))
