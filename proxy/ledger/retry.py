"""Another try of a write whose answer did not come, and one deadline over all the tries of one caller.

What is tried again has ids of its own, so that it cannot be counted twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from proxy.storage.store import StorageUnreachable

WITHIN_S = 6.0
"""Clients of the whole server give up at 10, and one try of a frozen database takes 5."""

_TRIES = 3


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Raises StorageUnreachable when the time is up; then it may be done all the same."""
    try:
        async with asyncio.timeout(WITHIN_S):
            yield
    except TimeoutError:
        raise StorageUnreachable(f"it was not written within {WITHIN_S:g} s") from None


async def insist(write: Callable[[], Awaitable[None]]) -> None:
    """Raises what the last try raised, or the first that was refused."""
    for _ in range(_TRIES - 1):
        try:
            return await write()
        except StorageUnreachable:
            continue
    return await write()
