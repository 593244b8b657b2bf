"""A server in which an account ends its training, for `tests/forked.py`:
`main(CONFIG, KEY, ADMIN, METHOD, PATH, POINT)`.

It asks itself, charges what is owed, and kills itself when it comes to the point. Without one it ends.
"""

import os
import signal
from functools import wraps
from pathlib import Path
from typing import Any

from proxy.app import open_worker
from proxy.engines import registry
from proxy.feature_list import load_config
from proxy.features.erasure import tombstone_rows
from proxy.features.jobs.core import ends, removals
from proxy.features.jobs.kinds.training import records
from proxy.ledger.durable_ends import FixedPrice
from proxy.storage import accounts
from tests.features.jobs.training.training_rig import bills_of
from tests.proxy.api.inside import Inside

ENDS: dict[str, tuple[Any, str]] = {
    "cancel": (ends, "end_job"),
    "job": (removals, "remove_job_rows"),
    "voice": (tombstone_rows, "erase_subject"),
    "account": (accounts, "close"),
}
"""What is written when an account ends its training in one of these ways."""
POINTS: dict[str, tuple[Any, str]] = {
    "charge": (FixedPrice, "charge"),
    "hold": (FixedPrice, "forget"),
    "row": (records, "close_training"),
}
"""What is written of its bill, in this order."""


def arm(point: str) -> None:
    """Kill this process `before` or `after` one of these."""
    when, _, what = point.partition(" ")
    owner, name = (ENDS | POINTS)[what]
    method = getattr(owner, name)

    @wraps(method)
    async def passing(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        await method(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, passing)


async def main(file: str, key: str, admin_key: str, method: str, path: str, point: str = "") -> None:
    async with open_worker(load_config(Path(file), {}), registry.load()) as worker:
        (row,) = await worker.store.read("SELECT id FROM accounts WHERE name = 'ada'")
        account = await accounts.get(worker.store, row["id"])
        assert account is not None
        if point:
            arm(point)
        server = Inside(worker, account, key, admin_key)
        await server.ask(method, path, key=admin_key if path.startswith("/admin") else key)
        await bills_of(server).sweep()
