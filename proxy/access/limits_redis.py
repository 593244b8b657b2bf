"""Requests a minute, counted in Redis for all workers. Only a Redis address imports this module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from limits.aio.storage import RedisStorage
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_SOCKET_S = 1.0
_MOST_CONNECTIONS = 32


@asynccontextmanager
async def open_redis(url: str) -> AsyncIterator[RedisStorage]:
    """Open the storage. It connects at the first request: a worker starts even if Redis is away."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_MOST_CONNECTIONS,
        timeout=_SOCKET_S,
        socket_timeout=_SOCKET_S,
        socket_connect_timeout=_SOCKET_S,
        # A command that was sent may have counted. The request fails and is never counted twice.
        retry=Retry(NoBackoff(), 0),
    )
    # The pool has the address. The library needs a port in it, and names a socket in another way.
    options: dict[str, Any] = {"connection_pool": pool}
    try:
        yield RedisStorage(
            "async+redis://",
            wrap_exceptions=True,
            implementation="redispy",
            key_prefix="voxgate",
            **options,
        )
    finally:
        await pool.disconnect()
