"""Limits the memory for models that are uploaded or downloaded. A client that is too slow loses its place to
others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, ExitStack

from proxy.helpers.limiter import WAIT_S, FairLimiter, FairPlace
from proxy.speech.deadline import MovingTimer

FREE_BYTES = 1024 * 1024
"""The first bytes of a form need no place here. They count as any other body of the same API key."""
SMALL_BYTES = 128 * 1024 * 1024
PACE_S = 10.0
"""How often the pace of a client is measured."""
LEAST_BYTES_S = 64 * 1024
"""The least bytes per second."""
TOO_SLOW = f"less than {LEAST_BYTES_S} bytes a second over {PACE_S:g} s, while others waited for its place"


class ModelLimiter:
    """The places of a worker. Accounts have four and the operator one, each for a model up to `SMALL_BYTES`.
    One of the five may be larger. The largest form has 840 MiB, so together they stay below 1.4 GiB."""

    def __init__(self) -> None:
        self.small = FairLimiter("models of voices", places=4, of_account=1, at_once=1, of_operator=1)
        self.large = FairLimiter("large models of voices", places=1, of_account=1, at_once=1)


class ModelPlaces(MovingTimer):
    """The places that one model holds. Close it.

    Between `begin_transfer` and `rest`, the client has to move bytes. If it is too slow while others wait for
    one of these places, `on_slow` is called.
    """

    def __init__(self, limiter: ModelLimiter, account: str) -> None:
        self._limiter = limiter
        self._account = account
        self._held = ExitStack()
        self._places: dict[FairLimiter, FairPlace] = {}
        self.moved_bytes = 0
        self._on_slow: Callable[[], object] | None = None

    async def grow(self, size: int) -> None:
        """Wait for the places that a model of `size` bytes needs, and take them. Raises NoPlace."""
        pools = [self._limiter.small]
        if size > SMALL_BYTES:
            pools.append(self._limiter.large)
        for pool in pools:
            if pool not in self._places:
                self.rest()
                self._places[pool] = self._held.enter_context(await pool.wait_for_place(self._account))
                self._watch()

    def begin_transfer(self, on_slow: Callable[[], object]) -> None:
        self._on_slow = on_slow
        self._watch()

    def _watch(self) -> None:
        """Begin to measure the pace, if a transfer has begun."""
        self.moved_bytes = 0
        if self._on_slow is not None:
            self.expire_in(PACE_S)

    def expire(self) -> None:
        is_slow = self.moved_bytes < PACE_S * LEAST_BYTES_S
        if is_slow and self._on_slow is not None and any(pool.is_awaited for pool in self._places):
            self._on_slow()
        else:
            self._watch()

    def turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for the turn to read or write a model, and hold it for the block. Raises NoPlace."""
        return self._places[self._limiter.small].hold_turn(WAIT_S)

    def close(self) -> None:
        """Leave the places. A second call does nothing."""
        super().close()
        self._held.close()
