"""A worker that sends to webhooks, for `tests/forked.py`: `main(DATA)`.

A test kills it while a receiver keeps silent.
"""

from pathlib import Path

from proxy.feature_list import open_store
from tests.features.webhooks.rig import webhook_rig


async def main(data: str) -> None:
    async with open_store("sqlite", Path(data)) as store, webhook_rig(store, Path(data)) as rig:
        while True:
            await rig.delivery_tasks.turn()
