"""Requests a minute, counted for all workers: in memory for one worker, in Redis for several.

If Redis does not answer, a request that has a limit gets 503, and the next request tries again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import NamedTuple

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.errors import StorageError
from limits.limits import safe_string

from policies import rate
from policies.plans import Terms
from policies.rate import Window
from proxy.access.limits_memory import MemoryWindows
from proxy.errors import LimitsUnavailable, RateLimited

MEMORY = "memory"
_ANSWER_S = 1.5
"""The time for all counts of one request. A client gets its 503 long before it would give up."""

_log = structlog.get_logger()


class Limit(NamedTuple):
    """A limit of `most` requests a minute, for a kind (such as "account") and a name within it."""

    kind: str
    name: str
    most: int


class _PerMinute(RateLimitItemPerMinute):
    """An item that is counted under its name alone.

    The library puts the amount into the key too, so that a change of plan would begin a new count.
    """

    __slots__ = ()

    def key_for(self, *identifiers: bytes | str | float) -> str:
        return "/".join(safe_string(part) for part in identifiers)


class Limits:
    """The counts of all limits. `clock` is the clock of the storage."""

    def __init__(self, storage: Storage, clock: Callable[[], float]) -> None:
        # Counts in memory answer at once and need no timeout.
        self._answer_time = nullcontext if isinstance(storage, MemoryWindows) else _answer_time
        self._storage = storage
        self._windows = MovingWindowRateLimiter(storage)
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Limits in {type(self._storage).__name__}>"

    async def admit(self, account: str, key: str, terms: Terms) -> Window | None:
        """Count a request of an account and of its key. Return the limit that will refuse first, if any.

        Raises RateLimited and LimitsUnavailable. If one limit refuses a request, the other does not count
        it, except when two requests come in the very same moment.
        """
        limits = []
        if terms.key.rpm is not None:
            limits.append(Limit("key", key, terms.key.rpm))
        if terms.rpm is not None:
            limits.append(Limit("account", account, terms.rpm))
        async with self._answer_time():
            for limit in limits if len(limits) > 1 else ():
                if not await self._windows.test(*_counted(limit)):
                    raise await self._refusal(limit, terms.plan)
            for limit in limits:
                if not await self._windows.hit(*_counted(limit)):
                    raise await self._refusal(limit, terms.plan)
            return rate.tightest([await self._window_of_counted(limit) for limit in limits])

    async def take(self, limit: Limit) -> bool:
        """Count one request. Return False if the limit is reached; then nothing is counted."""
        async with self._answer_time():
            return await self._windows.hit(*_counted(limit))

    async def wait_s(self, limit: Limit) -> float:
        """Return how long until one more request may pass; 0 if it may pass now."""
        async with self._answer_time():
            if await self._windows.test(*_counted(limit)):
                return 0.0
            return await self._until_room_s(limit)

    async def check(self) -> None:
        """Raise LimitsUnavailable if requests cannot be counted.

        This writes: a full Redis or a read-only copy still answers questions.
        """
        async with self._answer_time():
            await self._storage.incr("check", rate.WINDOW_S)

    async def _window_of_counted(self, limit: Limit) -> Window:
        """Return the window of a limit that has just counted a request: that request leaves it last."""
        stats = await self._windows.get_window_stats(*_counted(limit))
        return Window(limit.most, max(0, stats.remaining), rate.WINDOW_S)

    async def _window(self, limit: Limit) -> Window:
        stats = await self._windows.get_window_stats(*_counted(limit))
        # The newest entry leaves last. Only then the whole limit is free again.
        newest = await self._windows.get_window_stats(*_counted(limit._replace(most=1)))
        reset_s = newest.reset_time - self._clock() if newest.remaining == 0 else 0.0
        return Window(limit.most, max(0, stats.remaining), min(reset_s, rate.WINDOW_S))

    async def _until_room_s(self, limit: Limit) -> float:
        stats = await self._windows.get_window_stats(*_counted(limit))
        return stats.reset_time - self._clock()

    async def _refusal(self, limit: Limit, plan: str) -> RateLimited:
        wait_s = rate.retry_after_s(await self._until_room_s(limit))
        whose = f"your plan '{plan}'" if limit.kind == "account" else "this key"
        return RateLimited(
            f"Rate limit reached for {whose}: {limit.most} requests a minute. Try again in {wait_s} s.",
            retry_after_s=wait_s,
            headers=dict(rate_headers(await self._window(limit))),
        )


@asynccontextmanager
async def open_limits(url: str) -> AsyncIterator[Limits]:
    """Open the limits of `[limits] url`: "memory", or the address of a Redis."""
    if url == MEMORY:
        yield Limits(MemoryWindows(), time.monotonic)
        return
    # This import takes time, and a server with one worker does not need it.
    from proxy.access.limits_redis import open_redis

    async with open_redis(url) as storage:
        yield Limits(storage, time.time)


def rate_headers(window: Window) -> list[tuple[str, str]]:
    """Return the headers, named as OpenAI names them, for an answer to a counted request."""
    return [
        ("x-ratelimit-limit-requests", str(window.limit)),
        ("x-ratelimit-remaining-requests", str(window.remaining)),
        ("x-ratelimit-reset-requests", rate.duration(window.reset_s)),
    ]


def _counted(limit: Limit) -> tuple[_PerMinute, str, str]:
    return _PerMinute(limit.most), limit.kind, limit.name


@asynccontextmanager
async def _answer_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_ANSWER_S):
            yield
    except (StorageError, OSError) as error:
        cause = error.__cause__ or error
        _log.error("limits.failed", reason=f"{type(cause).__name__}: {cause}"[:200])
        raise LimitsUnavailable() from None
