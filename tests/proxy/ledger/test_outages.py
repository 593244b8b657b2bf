"""Holds of running requests while the database stalls or is away, by a simulated clock."""

import asyncio
from typing import cast

from proxy.ledger.stored_holds import HOLD_S, StoredHolds
from proxy.storage.store import Row, Statement, StorageUnreachable, Store
from proxy.telemetry.metrics import Metrics
from tests.speech_engine.host.simulated_time import simulated


class Stalling:
    """A store that stalls, and knows of each hold when it expires."""

    def __init__(self) -> None:
        self.expires = 0
        self.has_expired = False
        self.goes_on = asyncio.Event()
        self.goes_on.set()

    async def now(self) -> int:
        return round(asyncio.get_running_loop().time() * 1_000_000)

    async def write(self, renewal: Statement, *_sweep: Statement) -> list[list[Row]]:
        try:
            async with asyncio.timeout(5.0):
                await self.goes_on.wait()
        except TimeoutError:
            raise StorageUnreachable("it stalls") from None
        self.has_expired = self.has_expired or self.expires < await self.now()
        expires = renewal.params["expires"]
        assert isinstance(expires, int)
        self.expires = expires
        return [[], []]


@simulated
async def test_no_hold_expires_in_a_stall_of_ten_seconds() -> None:
    """Whenever it begins. After half a minute they have expired, and come back a second later."""
    for lasts_s, has_expired in ((10.0, False), (30.0, True)):
        for begins_s in range(28):
            store = Stalling()
            holds_of_worker = StoredHolds(cast(Store, store), Metrics())
            holds_of_worker._live.add("req_1")
            store.expires = await store.now() + HOLD_S * 1_000_000
            await asyncio.sleep(begins_s / 4)
            store.goes_on.clear()
            await asyncio.sleep(lasts_s)
            store.goes_on.set()
            await asyncio.sleep(1.5)
            assert (store.has_expired, store.expires > await store.now()) == (has_expired, True), begins_s
            await holds_of_worker.close()
