"""Requests a minute, counted for all workers: in memory for one worker, in Redis for several.

If Redis does not answer, a request that has a limit gets 503, and the next request tries again.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from policies import rate
from policies.plans import Terms
from policies.rate import WINDOW_S, Window
from proxy.access.windows import FullWindow, KeyStates, Limit, Windows
from proxy.errors import CannotServe, RateLimited
from proxy.helpers.outside import outside

MEMORY = "memory"
_REDIS = "proxy.features.cluster.provider_states"
"""The module whose `open_limits` takes the addresses of a Redis, also while the feature is off."""


class Limits:
    """Counts requests under the limits of accounts, keys and addresses. With Redis, gateways exchange the
    states of the operator's keys at providers in `providers`."""

    def __init__(self, windows: Windows, providers: KeyStates | None = None) -> None:
        self.providers = providers
        self._windows = windows

    async def admit(self, account: str, key: str, terms: Terms, further: int = 0) -> Window | None:
        """Count a request of an account and of its key. Return the limit that will refuse first, if any. If
        one limit refuses, nothing is counted. Raises RateLimited and LimitsUnavailable.

        A call that counts as several requests is counted twice: first as one, then with the number of the
        `further` ones. Together they are never more than a limit takes.
        """
        limits = []
        for kind, name, most in (("key", key, terms.key.rpm), ("account", account, terms.rpm)):
            if most is not None and (cost := min(further, most - 1) if further else 1):
                limits.append(Limit(kind, name, most, cost))
        if not limits:
            return None
        counted = await self._windows.count(limits)
        if isinstance(counted, FullWindow):
            raise _rate_limited(counted, terms.plan)
        # A limit is free as a whole when this request leaves the window.
        windows: list[Window] = []
        for limit, remaining in zip(limits, counted, strict=True):
            windows.append(Window(limit.most, remaining, WINDOW_S))
        return windows[0] if len(windows) == 1 else rate.tightest_window(windows)

    async def count_request(self, *limits: Limit) -> FullWindow | None:
        """Count one request under all of these limits. If one is reached, return its window; then nothing is
        counted."""
        counted = await self._windows.count(limits)
        return counted if isinstance(counted, FullWindow) else None

    async def find_full(self, *limits: Limit) -> FullWindow | None:
        """Return the window of the first limit that is reached, and count nothing."""
        return await self._windows.find_full(limits)

    async def check(self) -> None:
        """Raise LimitsUnavailable if requests cannot be counted."""
        await self._windows.check_writable()


OpenLimits = Callable[[str], AbstractAsyncContextManager[Limits]]


@asynccontextmanager
async def open_limits(url: str) -> AsyncIterator[Limits]:
    if url == MEMORY:
        yield Limits(MemoryWindows())
        return
    # This import takes time, and a server with one worker does not need it.
    open_shared: OpenLimits | None = outside(_REDIS, "open_limits", None)
    if open_shared is None:
        raise CannotServe("limits.url names a Redis, but proxy/features/cluster, which counts there, is away")
    async with open_shared(url) as limits:
        yield limits


def rate_headers(window: Window) -> list[tuple[bytes, bytes]]:
    """Return the headers, named as OpenAI names them, for an answer to a counted request."""
    return [
        (b"x-ratelimit-limit-requests", b"%d" % window.limit),
        (b"x-ratelimit-remaining-requests", b"%d" % window.remaining),
        (b"x-ratelimit-reset-requests", rate.duration_text(window.reset_s).encode()),
    ]


def _rate_limited(full: FullWindow, plan: str) -> RateLimited:
    limit = full.limit
    window = Window(limit.most, 0, min(full.reset_s, WINDOW_S))
    whose = f"your plan '{plan}'" if limit.kind == "account" else "this key"
    counts = f", and this one counts as {limit.cost + 1}" if limit.cost > 1 else ""
    return full.refusal(
        f"Rate limit reached for {whose}: {limit.most} requests a minute{counts}.",
        {name.decode(): value.decode() for name, value in rate_headers(window)},
    )


_NO_MOMENTS: deque[float] = deque()


class MemoryWindows:
    """The times of the requests that were counted within the last minute, by kind and name.

    `clock` counts seconds and never goes back. No method awaits, so no call sees a half-counted request.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # In a window, the oldest moment is first. The window that counted last is at the end.
        self._windows: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    async def count(self, limits: Sequence[Limit]) -> list[int] | FullWindow:
        now = self._clock()
        for limit in limits:
            if (full := self._full_window(limit, now)) is not None:
                return full
        remaining: list[int] = []
        for limit in limits:
            key = limit.kind, limit.name
            moments = self._windows.get(key)
            if moments is None:
                self._windows[key] = moments = deque((now,) * limit.cost)
                self._drop_idle(now - WINDOW_S)
            else:
                moments.extend((now,) * limit.cost)
                self._windows.move_to_end(key)
            remaining.append(limit.most - len(moments))
        return remaining

    async def find_full(self, limits: Sequence[Limit]) -> FullWindow | None:
        now = self._clock()
        return next((full for limit in limits if (full := self._full_window(limit, now))), None)

    async def check_writable(self) -> None:
        """Do nothing: memory can always count."""

    def _full_window(self, limit: Limit, now: float) -> FullWindow | None:
        moments = self._windows.get((limit.kind, limit.name), _NO_MOMENTS)
        while moments and moments[0] < now - WINDOW_S:
            moments.popleft()
        too_many = limit.most - limit.cost + 1
        if len(moments) < too_many:
            return None
        if not moments:
            return FullWindow(limit, WINDOW_S, 0.0)
        # The request passes once fewer are counted, which is when this one leaves the window.
        leaving = moments[-too_many] if limit.most else now
        return FullWindow(limit, leaving + WINDOW_S - now, moments[-1] + WINDOW_S - now)

    def _drop_idle(self, since: float) -> None:
        """Drop up to two idle windows for each new one, so that only windows of the last minute stay."""
        for _ in range(2):
            key, moments = next(iter(self._windows.items()))
            if moments and moments[-1] >= since:
                return
            del self._windows[key]
