"""Requests a minute counted in Redis, for all workers together; imported only where a url asks for it."""

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
    """Connects with the first request and not before: a Redis that is away keeps no worker from starting."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=_MOST_CONNECTIONS,
        timeout=_SOCKET_S,
        socket_timeout=_SOCKET_S,
        socket_connect_timeout=_SOCKET_S,
        # What was sent may have been counted: a request is told to come again, and not counted twice.
        retry=Retry(NoBackoff(), 0),
    )
    # The pool has the address. The library would want a port in it, and knows another word for a socket.
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
