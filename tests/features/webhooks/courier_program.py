"""A worker that sends to webhooks: `python -m tests.features.webhooks.courier_program DATA`.

A test kills it while a receiver keeps silent.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from proxy.features.all import open_store
from tests.features.webhooks.rig import webhook_rig


async def main(data: str) -> None:
    async with open_store("sqlite", Path(data)) as store, webhook_rig(store, Path(data)) as rig:
        while True:
            await rig.delivery_tasks.turn()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
