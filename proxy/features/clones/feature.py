"""The feature clones, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.clones.check import clones
from proxy.features.clones.records import TABLE


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.clones.bills import CloneBills
    from proxy.features.clones.endpoints import Clones
    from proxy.features.clones.maker import CloneMaker
    from proxy.features.clones.orders import CloneOrders
    from proxy.features.clones.recordings import CloneRecordings

    maker: CloneMaker | None = None
    if house.engines is not None:
        recordings = CloneRecordings(house.store, house.own_voices, house.samples, house.grants)
        bills = CloneBills(house.ledger, house.metrics.registry)
        maker = CloneMaker(house.store, house.engines, recordings, bills, house.notices)
        house.engines.on_loss(maker.look_soon)
    orders = CloneOrders(house.store, house.grants, maker)

    def at(revision: HouseRevision) -> Served:
        if maker is not None and revision.budgets is not None:
            maker.revise(revision.config, revision.budgets, revision.library.forget)
        return Served(Clones(revision.admin_tools, revision.library, orders).endpoints)

    if maker is None:
        yield Opened(at=at, clones=orders)
    else:
        yield Opened(at=at, clones=orders, is_gone=maker.wait_until_gone, wishes=(maker,))


FEATURE = Feature("clones", _open, tables=(TABLE,), checks=(clones,))
