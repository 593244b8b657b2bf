"""Requests a minute, counted in Redis for all workers. This module is imported only if a Redis is configured.

Windows are stored as the library `limits` stores them. The library counts for one limit at a time. Here one
script counts for all limits of a request: in one round trip, and without another count in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
import structlog
from limits.aio.storage import RedisStorage
from redis._parsers import _AsyncRESP2Parser
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import InvalidResponse, RedisError

from policies.rate import WINDOW_S
from proxy.access.windows import FullWindow, Limit
from proxy.errors import LimitsUnavailable

T = TypeVar("T")

_SOCKET_S = 1.0
_MOST_CONNECTIONS = 32
_ANSWER_S = 1.5
"""The time for one answer of Redis. A client gets its 503 long before it would give up."""

_log = structlog.get_logger()

_PREFIX = "voxgate"
_MICRO = 1_000_000
_MOST_ANSWER_BYTES = 64 * 1024
_UNREADABLE_ERRORS = (ValueError, TypeError, IndexError, RecursionError)

# A window is a list of moments in seconds, the newest first, by the clock of Redis, which all workers share.
# KEYS: the windows. ARGV: the seconds of a window, `count` or `look`, and the limit and the cost of each. It
# returns 0 and the number of requests that each window still takes, or the number of the first full window,
# and `wait_s` and `reset_s` of `FullWindow` in µs.
_COUNT_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local window_s = tonumber(ARGV[1])
local since = now - window_s

local function moment(key, index)
    return tonumber(redis.call('LINDEX', key, index))
end

for number, key in ipairs(KEYS) do
    local most = tonumber(ARGV[2 * number + 1])
    local cost = tonumber(ARGV[2 * number + 2])
    local oldest = most > 0 and moment(key, most - cost) or nil
    if most == 0 or (oldest and oldest >= since) then
        local wait_s = (oldest or now) - since
        local reset_s = math.max(0, (moment(key, 0) or since) - since)
        return {number, math.ceil(wait_s * 1000000), math.ceil(reset_s * 1000000)}
    end
end

local answer = {0}
if ARGV[2] == 'look' then
    return answer
end
for number, key in ipairs(KEYS) do
    for _ = 1, tonumber(ARGV[2 * number + 2]) do
        redis.call('LPUSH', key, string.format('%.6f', now))
    end
    local count = redis.call('LLEN', key)
    if moment(key, -1) < since then
        -- The moment `fresh` is in the window, and the moment `count` is not.
        local fresh = 0
        count = count - 1
        while count - fresh > 1 do
            local middle = math.floor((fresh + count) / 2)
            if moment(key, middle) >= since then
                fresh = middle
            else
                count = middle
            end
        end
        redis.call('LTRIM', key, 0, count - 1)
    end
    redis.call('EXPIRE', key, window_s)
    answer[number + 1] = tonumber(ARGV[2 * number + 1]) - count
end
return answer
"""


class _BoundedParser(_AsyncRESP2Parser):
    """A parser that refuses long answers. The library would read any answer into memory, and block the event
    loop while it parses a long list."""

    async def _read(self, length: int) -> bytes:
        self._check(length)
        return await super()._read(length)

    async def _readline(self) -> bytes:
        self._check(0)
        return await super()._readline()

    def _check(self, length: int) -> None:
        if self._pos + length > _MOST_ANSWER_BYTES:
            raise InvalidResponse("an answer is longer than any that makes sense")


class RedisWindows:
    """The windows in a Redis."""

    def __init__(self, storage: RedisStorage) -> None:
        self._storage = storage
        # The library has no type for its connection.
        self._bridge: Any = storage.bridge
        self._script = self.script(_COUNT_SCRIPT)

    async def count(self, limits: Sequence[Limit]) -> list[int] | FullWindow:
        return await ask_redis(self._run_script("count", limits))

    async def find_full(self, limits: Sequence[Limit]) -> FullWindow | None:
        answer = await ask_redis(self._run_script("look", limits))
        return answer if isinstance(answer, FullWindow) else None

    def key(self, kind: str, name: str) -> str:
        return str(self._bridge.prefixed_key(f"{kind}/{name}"))

    def script(self, text: str) -> Any:
        """Return a script of this Redis, to call with its keys and arguments."""
        return self._bridge.get_connection().register_script(text)

    async def check_writable(self) -> None:
        """Try a write: a full Redis or a read-only copy still answers reads."""
        await ask_redis(self._storage.incr("check", WINDOW_S))

    async def _run_script(self, mode: str, limits: Sequence[Limit]) -> list[int] | FullWindow:
        keys = [self.key(limit.kind, limit.name) for limit in limits]
        bounds = [bound for limit in limits for bound in (limit.most, limit.cost)]
        answer = await self._script(keys, (WINDOW_S, mode, *bounds))
        number, *values = msgspec.convert(answer, list[int])
        if number:
            wait_us, reset_us = values
            return FullWindow(limits[number - 1], wait_us / _MICRO, reset_us / _MICRO)
        return [left for left, _ in zip(values, limits, strict=True)] if mode == "count" else []


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[RedisWindows]:
    """Open the windows. They connect at the first request, so a worker starts even if Redis is away."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_MOST_CONNECTIONS,
        timeout=_SOCKET_S,
        socket_timeout=_SOCKET_S,
        socket_connect_timeout=_SOCKET_S,
        parser_class=_BoundedParser,
        # There are no retries: a command that was sent may have counted, and no request is counted twice.
        retry=Retry(NoBackoff(), 0),
    )
    # The pool has the address. The library needs a port in it, and names a socket in another way.
    options: dict[str, Any] = {"connection_pool": pool}
    storage = RedisStorage("async+redis://", implementation="redispy", key_prefix=_PREFIX, **options)
    try:
        yield RedisWindows(storage)
    finally:
        await pool.disconnect()


async def ask_redis(question: Awaitable[T], within_s: float = _ANSWER_S, *, is_logged: bool = True) -> T:
    """Return the answer of Redis. Raises LimitsUnavailable, also for an answer that makes no sense."""
    try:
        async with asyncio.timeout(within_s):
            return await question
    except (RedisError, OSError, *_UNREADABLE_ERRORS) as error:
        if is_logged:
            _log.error("limits.failed", reason=f"{type(error).__name__}: {error}"[:200])
        raise LimitsUnavailable() from None
