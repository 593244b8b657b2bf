"""The refresh of cloud engines: they ask their providers for models and voices every few minutes.

The answer also shows whether the provider is there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from proxy.engines.providers.cloud_engine import CloudEngine
from proxy.engines.providers.provider_key import ProviderKey
from speech_engine import EngineError, EngineRefreshes, EngineTimeout

REFRESH_S = 300.0
PROBE_S = 15.0
"""The interval while a breaker is open. The first good answer closes it, so no request must be the probe.

If only one account saw faults, we ask the provider at once, but at most once in this time.
"""
ANSWER_S = 9.0
"""How long one refresh may take."""
GREETING_S = 3.0
"""How long a starting server waits for a provider. Then it goes on without an answer."""

_log = structlog.get_logger()


@asynccontextmanager
async def keep_refreshed(cloud: CloudEngine) -> AsyncIterator[None]:
    refreshing = [
        asyncio.create_task(_refresh_regularly(cloud, key, key.engine), name=f"{cloud.name} refreshing")
        for key in cloud.keys
        if isinstance(key.engine, EngineRefreshes)
    ]
    try:
        if refreshing:
            with suppress(TimeoutError):
                async with asyncio.timeout(GREETING_S):
                    for key in cloud.keys:
                        await key.first_answer.wait()
        yield
    finally:
        for task in refreshing:
            task.cancel()
        if refreshing:
            await asyncio.wait(refreshing)


async def _refresh_regularly(cloud: CloudEngine, key: ProviderKey, engine: EngineRefreshes) -> None:
    while True:
        await _refresh(cloud, key, engine)
        refreshed_at = time.monotonic()
        try:
            async with asyncio.timeout(REFRESH_S):
                await key.wants_look.wait()
        except TimeoutError:
            continue
        await asyncio.sleep(_pause_s(key, refreshed_at))


def _pause_s(key: ProviderKey, refreshed_at: float) -> float:
    if key.breaker.is_doubtful:
        # One account alone saw faults: ask at once, but not twice within PROBE_S.
        return max(0.0, refreshed_at + PROBE_S - time.monotonic())
    # A refused key is not probed more often, since the provider could lock it.
    return REFRESH_S if key.breaker.is_refused else PROBE_S


async def _refresh(cloud: CloudEngine, key: ProviderKey, engine: EngineRefreshes) -> None:
    failure: EngineError
    try:
        async with asyncio.timeout(ANSWER_S):
            await engine.refresh()
        key.read_hello()
    except TimeoutError:
        failure = EngineTimeout("The provider did not say in time what it has.")
    except EngineError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: logged, and repeated later
        # A fault of the plugin says nothing about the provider, so the breaker is not told.
        _log.warning("engine.refresh.failed", engine=cloud.name, key=key.number, exc_info=error)
        key.first_answer.set()
        return
    else:
        key.note_refresh(None)
        return
    _log.warning("engine.refresh.failed", engine=cloud.name, key=key.number, reason=failure.reason)
    key.note_refresh(failure)
