"""The databases that any test may ask for by name; see `tests.databases` and `tests.redis_server`."""

from __future__ import annotations

from tests.databases import shared_postgres, store, store_url
from tests.redis_server import shared_redis

__all__ = ["shared_postgres", "shared_redis", "store", "store_url"]
