"""Kill -9 while an event is on its way: it is sent again by the same id, once the server is back."""

import asyncio
from pathlib import Path

from policies.tasks import SECOND_US
from proxy.feature_list import open_store
from proxy.storage.store import Statement
from tests import forked
from tests.features.webhooks.receiver import receiver, status
from tests.features.webhooks.rig import webhook_rig
from tests.waiting import soon

HOUR_US = 3600 * SECOND_US
DELAY = "UPDATE webhook_deliveries SET due = :due WHERE id = :id"


async def test_a_killed_worker_loses_no_event_and_no_delay(tmp_path: Path) -> None:
    async with receiver(status(500), None, status(200)) as at:
        async with open_store("sqlite", tmp_path) as store, webhook_rig(store, tmp_path) as rig:
            ada, webhook = await rig.told(at.url)
            await rig.tell(ada)
            (waits,) = (row for row in await rig.deliveries(webhook) if row.tries)
            # However long the worker takes to start, the delay is not over.
            due = waits.due + HOUR_US
            await store.write(Statement(DELAY, {"id": waits.id, "due": due}))
        worker = await asyncio.to_thread(
            forked.program, "tests.features.webhooks.courier_program", str(tmp_path)
        )
        try:
            await soon(lambda: len(at.told) >= 2)
        finally:
            worker.end()
        async with open_store("sqlite", tmp_path) as store, webhook_rig(store, tmp_path) as rig:
            await rig.step()
            assert len(at.told) == 2, "the killed worker has its lease, the other has its delay"
            rig.delivery_tasks._server_started = await store.now()
            await rig.delivery_tasks.turn()
            await rig.delivery_tasks.finish()
            assert at.told[2].headers["webhook-id"] == at.told[1].headers["webhook-id"]
            by_state = {row.state: row for row in await rig.deliveries(webhook)}
            assert by_state["delivered"].tries == 1
            assert by_state["waiting"].due == due
            await rig.later()
            assert {row.state for row in await rig.deliveries(webhook)} == {"delivered"}
