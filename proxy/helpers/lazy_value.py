"""A value that takes long to make, and is made at its first use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LazyValue(Generic[T]):
    """Calls `make` in a thread, once for all callers that wait for the value. A failure is not kept."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the value. Raises what `make` raises."""
        made = self._made
        if made is None or (made.done() and (made.cancelled() or made.exception() is not None)):
            made = self._made = asyncio.create_task(asyncio.to_thread(self._make))
        # A caller may leave. The others still wait.
        return await asyncio.shield(made)
