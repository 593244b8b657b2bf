"""The feature webhooks, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from proxy.feature import Feature, House, HouseRevision, Opened, Served
from proxy.features.webhooks import deliveries, records
from proxy.features.webhooks.section import WEBHOOKS


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.webhooks.courier import Courier
    from proxy.features.webhooks.endpoints import Webhooks
    from proxy.features.webhooks.keeper import WebhookKeeper
    from proxy.features.webhooks.sender import Sender

    sender = Sender(house.config_at_start.upstream.ca_file)
    courier = Courier(house.store, house.vault, sender, house.metrics.registry)
    courier.section = WEBHOOKS.of(house.config_at_start)
    keeper = WebhookKeeper(house.store, house.vault, courier)

    def at(revision: HouseRevision) -> Served:
        courier.section = WEBHOOKS.of(revision.config)
        return Served(Webhooks(revision.admin_tools, keeper).endpoints)

    # A command sends nothing that waits: its server does, when it is back.
    wishes = () if house.engines is None else (courier,)
    yield Opened(at=at, notices=courier, wishes=wishes, alone=(partial(courier.tidy, house.metrics),))


FEATURE = Feature("webhooks", _open, tables=(records.TABLE, deliveries.TABLE))
