"""Requests a minute, counted for all workers: in memory for one worker, in Redis for several.

If Redis does not answer, a request that has a limit gets 503, and the next request tries again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from policies import rate
from policies.plans import Terms
from policies.rate import Window
from proxy.access.limits_memory import MemoryWindows
from proxy.access.windows import FullWindow, Limit, Windows
from proxy.errors import RateLimited

MEMORY = "memory"


class Limits:
    """The limits of all accounts, keys and addresses."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    async def admit(self, account: str, key: str, terms: Terms) -> Window | None:
        """Count a request of an account and of its key. Return the limit that will refuse first, if any.

        Raises RateLimited and LimitsUnavailable. If one limit refuses a request, the other does not count it.
        """
        limits = []
        if terms.key.rpm is not None:
            limits.append(Limit("key", key, terms.key.rpm))
        if terms.rpm is not None:
            limits.append(Limit("account", account, terms.rpm))
        if not limits:
            return None
        left = await self._windows.count(limits)
        if isinstance(left, FullWindow):
            raise _refusal(left, terms.plan)
        # The request that was counted just now leaves its windows last.
        windows: list[Window] = []
        for limit, remaining in zip(limits, left, strict=True):
            windows.append(Window(limit.most, remaining, rate.WINDOW_S))
        return windows[0] if len(windows) == 1 else rate.tightest(windows)

    async def take(self, limit: Limit) -> bool:
        """Count one request. Return False if the limit is reached; then nothing is counted."""
        return not isinstance(await self._windows.count((limit,)), FullWindow)

    async def wait_s(self, limit: Limit) -> float:
        """Return how long until one more request may pass; 0 if it may pass now."""
        full = await self._windows.full(limit)
        return 0.0 if full is None else full.wait_s

    async def check(self) -> None:
        """Raise LimitsUnavailable if requests cannot be counted."""
        await self._windows.check()


@asynccontextmanager
async def open_limits(url: str) -> AsyncIterator[Limits]:
    """Open the limits of `[limits] url`: "memory", or the address of a Redis."""
    if url == MEMORY:
        yield Limits(MemoryWindows())
        return
    # This import takes time, and a server with one worker does not need it.
    from proxy.access.limits_redis import open_redis

    async with open_redis(url) as windows:
        yield Limits(windows)


def rate_headers(window: Window) -> list[tuple[bytes, bytes]]:
    """Return the headers, named as OpenAI names them, for an answer to a counted request."""
    return [
        (b"x-ratelimit-limit-requests", b"%d" % window.limit),
        (b"x-ratelimit-remaining-requests", b"%d" % window.remaining),
        (b"x-ratelimit-reset-requests", rate.duration(window.reset_s).encode()),
    ]


def _refusal(full: FullWindow, plan: str) -> RateLimited:
    limit, wait_s = full.limit, rate.retry_after_s(full.wait_s)
    window = Window(limit.most, 0, min(full.reset_s, rate.WINDOW_S))
    whose = f"your plan '{plan}'" if limit.kind == "account" else "this key"
    return RateLimited(
        f"Rate limit reached for {whose}: {limit.most} requests a minute. Try again in {wait_s} s.",
        retry_after_s=wait_s,
        headers={name.decode(): value.decode() for name, value in rate_headers(window)},
    )
