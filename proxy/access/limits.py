"""Requests a minute, counted for all workers together: in memory for one worker, in Redis for several.

What cannot be counted is not let through: a Redis that is away is a 503, and the next request tries anew.
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
"""For all that one request asks: a client is told to come again long before it would give up."""

_log = structlog.get_logger()


class Limit(NamedTuple):
    """So many a minute, and who they are counted for: a kind ("account") and a name within it."""

    kind: str
    name: str
    most: int


class _PerMinute(RateLimitItemPerMinute):
    """Counted under its name alone. The library puts the amount into the key too, so that a change of plan
    would begin a new count."""

    __slots__ = ()

    def key_for(self, *identifiers: bytes | str | float) -> str:
        return "/".join(safe_string(part) for part in identifiers)


class Limits:
    """`clock` is the one by which the storage counts."""

    def __init__(self, storage: Storage, clock: Callable[[], float]) -> None:
        # What counts in memory answers at once, and needs nobody to keep the time.
        self._answering = nullcontext if isinstance(storage, MemoryWindows) else _answering
        self._storage = storage
        self._windows = MovingWindowRateLimiter(storage)
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Limits in {type(self._storage).__name__}>"

    async def admit(self, account: str, key: str, terms: Terms) -> Window | None:
        """Counts one request of an account and of its key; gives the limit that will refuse first, if any.

        Raises RateLimited, and LimitsUnavailable. A request that is refused by one is not counted by the
        other, but for two that come in the very same moment.
        """
        limits = []
        if terms.key.rpm is not None:
            limits.append(Limit("key", key, terms.key.rpm))
        if terms.rpm is not None:
            limits.append(Limit("account", account, terms.rpm))
        async with self._answering():
            for limit in limits if len(limits) > 1 else ():
                if not await self._windows.test(*_counted(limit)):
                    raise await self._refusal(limit, terms.plan)
            for limit in limits:
                if not await self._windows.hit(*_counted(limit)):
                    raise await self._refusal(limit, terms.plan)
            return rate.tightest([await self._window_of_counted(limit) for limit in limits])

    async def take(self, limit: Limit) -> bool:
        """Counts one; False when there are as many already, and then it is not counted."""
        async with self._answering():
            return await self._windows.hit(*_counted(limit))

    async def wait_s(self, limit: Limit) -> float:
        """How long until one more is let through: 0 when it would be now."""
        async with self._answering():
            if await self._windows.test(*_counted(limit)):
                return 0.0
            return await self._until_room_s(limit)

    async def check(self) -> None:
        """Raises LimitsUnavailable when requests cannot be counted. It writes, since a Redis that is full
        or a copy answers all other questions."""
        async with self._answering():
            await self._storage.incr("check", rate.WINDOW_S)

    async def _window_of_counted(self, limit: Limit) -> Window:
        """Of a limit that a request was counted against just now: it is the last that will go."""
        stats = await self._windows.get_window_stats(*_counted(limit))
        return Window(limit.most, max(0, stats.remaining), rate.WINDOW_S)

    async def _window(self, limit: Limit) -> Window:
        stats = await self._windows.get_window_stats(*_counted(limit))
        # Of the newest entry alone, which is the last to go: only then all of it is there again.
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
    """The limits named by `[limits] url`: "memory", or an address of a Redis."""
    if url == MEMORY:
        yield Limits(MemoryWindows(), time.monotonic)
        return
    # Not needed by those who stay with one worker, and not free.
    from proxy.access.limits_redis import open_redis

    async with open_redis(url) as storage:
        yield Limits(storage, time.time)


def rate_headers(window: Window) -> list[tuple[str, str]]:
    """As OpenAI names them, on every answer that a limit was asked for."""
    return [
        ("x-ratelimit-limit-requests", str(window.limit)),
        ("x-ratelimit-remaining-requests", str(window.remaining)),
        ("x-ratelimit-reset-requests", rate.duration(window.reset_s)),
    ]


def _counted(limit: Limit) -> tuple[_PerMinute, str, str]:
    return _PerMinute(limit.most), limit.kind, limit.name


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_ANSWER_S):
            yield
    except (StorageError, OSError) as error:
        cause = error.__cause__ or error
        _log.error("limits.failed", reason=f"{type(cause).__name__}: {cause}"[:200])
        raise LimitsUnavailable() from None
