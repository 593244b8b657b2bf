"""Webhooks as Runpod sends them: unsigned, up to three times, ten seconds apart."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from fakes.runpod.clock import Clock
from fakes.runpod.queue import QueuedJob

TRIES = 3
APART_S = 10.0


class Webhooks:
    """Sends webhooks. The first try of each of the `copies` comes before the job's end can be read.

    `attempts_made` has an address and a status for each try; the status is 0 if there was no answer.
    """

    def __init__(self, clock: Clock, copies: int = 2) -> None:
        self.copies = copies
        self.attempts_made: list[tuple[str, int]] = []
        self._clock = clock
        self._later: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Webhooks {len(self.attempts_made)} tries>"

    async def tell(self, job: QueuedJob, described: dict[str, Any]) -> None:
        if not (address := job.order.webhook):
            return
        for _ in range(self.copies):
            if not await self._post(address, described):
                task = asyncio.create_task(self._again(address, described))
                self._later.add(task)
                task.add_done_callback(self._later.discard)

    async def close(self) -> None:
        later = list(self._later)
        for task in later:
            task.cancel()
        await asyncio.gather(*later, return_exceptions=True)

    async def _again(self, address: str, described: dict[str, Any]) -> None:
        for _ in range(TRIES - 1):
            await self._clock.until(self._clock() + APART_S)
            if await self._post(address, described):
                return

    async def _post(self, address: str, described: dict[str, Any]) -> bool:
        try:
            async with httpx2.AsyncClient(trust_env=False) as client:
                status = (await client.post(address, json=described)).status_code
        except httpx2.HTTPError:
            status = 0
        self.attempts_made.append((address, status))
        return status == 200
