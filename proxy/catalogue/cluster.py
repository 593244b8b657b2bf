"""This machine among all machines that share its database, for code that opens before the feature
`cluster`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence

LeaderTask = Callable[[], Coroutine[None, None, None]]


class ClusterView:
    """What this process knows of the cluster. The feature `cluster` updates it. On SQLite, this machine is
    alone and leads.

    `machine` is the name of this machine, "" if it shares no database. `others` are the names of the other
    living machines. One machine `leads`: the oldest living server.
    """

    def __init__(self) -> None:
        self.machine = ""
        self.others: frozenset[str] = frozenset()
        self._leading, self._following = asyncio.Event(), asyncio.Event()
        self.lead(True)

    @property
    def leads(self) -> bool:
        return self._leading.is_set()

    def lead(self, leads: bool) -> None:
        on, off = (self._leading, self._following) if leads else (self._following, self._leading)
        on.set()
        off.clear()

    async def run_while_leading(self, tasks: Sequence[LeaderTask]) -> None:
        """Run the tasks while this machine leads. They are cancelled when another one does."""
        while True:
            await self._leading.wait()
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(task()) for task in tasks]
                await self._following.wait()
                for each in running:
                    each.cancel()
