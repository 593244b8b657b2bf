"""The cache of a worker, opened over the data folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from proxy.config.sections import Config
from proxy.speech.cache import secret
from proxy.speech.cache.cache import Cache, Counts
from proxy.speech.cache.disk import Disk
from proxy.speech.cache.names import Names
from proxy.telemetry import UNWATCHED, RepeatingTask, Watch

_SWEEP_S = 60 * 60.0

_log = structlog.get_logger()


@asynccontextmanager
async def open_cache(
    config: Config, front_end_revision: Callable[[str], str], counts: Counts, watch: Watch = UNWATCHED
) -> AsyncIterator[Cache]:
    data = Path(config.data)
    names = Names(await _secret(data / "cache-key"), front_end_revision)
    cache = Cache(Disk(data / "cache"), names, counts, config.server.workers)
    cache.revise(config)
    # At once, and again where nobody asks anything: what is too old does not stay for want of newer things.
    sweeping = RepeatingTask("sweep of the audio cache", cache.sweep, _SWEEP_S, watch)
    try:
        yield cache
    finally:
        await sweeping.close()
        await cache.close()


async def _secret(file: Path) -> bytes:
    try:
        return await asyncio.to_thread(secret.ensure, file)
    except OSError as error:
        _log.warning("cache.secret.failed", reason=error.strerror)
        return secret.for_now()
