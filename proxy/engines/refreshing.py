"""Cloud engines ask their providers now and then what there is, which also tells whether anybody is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import structlog

from proxy.engines.guarded import GuardedEngine
from proxy.engines.provider_key import ProviderKey
from speech_engine import EngineError, EngineRefreshes, EngineTimeout

REFRESH_S = 300.0
PROBE_S = 15.0
"""While a breaker is open: the first good answer closes it, and no request has to be the one to try."""
ANSWER_S = 10.0
GREETING_S = 3.0
"""How long the server waits for a provider when it starts; it goes on without."""

_log = structlog.get_logger()


@asynccontextmanager
async def refreshed(guarded: GuardedEngine, engines: Sequence[Any]) -> AsyncIterator[None]:
    """Keeps what an engine says of itself fresh while the block runs, for those that can ask."""
    refreshing = [
        asyncio.create_task(_keep(guarded, key, engine), name=f"{guarded.name} refreshing")
        for key, engine in zip(guarded.keys, engines, strict=True)
        if isinstance(engine, EngineRefreshes)
    ]
    try:
        if refreshing:
            await _greeted(guarded)
        yield
    finally:
        for task in refreshing:
            task.cancel()
        if refreshing:
            await asyncio.wait(refreshing)


async def _greeted(guarded: GuardedEngine) -> None:
    try:
        async with asyncio.timeout(GREETING_S):
            for key in guarded.keys:
                await key.was_heard.wait()
    except TimeoutError:
        return


async def _keep(guarded: GuardedEngine, key: ProviderKey, engine: EngineRefreshes) -> None:
    while True:
        await _refresh(guarded, key, engine)
        try:
            async with asyncio.timeout(REFRESH_S):
                await key.rests.wait()
        except TimeoutError:
            continue
        # A key that is refused is not asked more often for it: that may get it locked.
        await asyncio.sleep(REFRESH_S if key.breaker.is_refused else PROBE_S)


async def _refresh(guarded: GuardedEngine, key: ProviderKey, engine: EngineRefreshes) -> None:
    failure: EngineError
    try:
        async with asyncio.timeout(ANSWER_S):
            await engine.refresh()
        key.engine.introduce()
    except TimeoutError:
        failure = EngineTimeout("The provider did not say in time what it has.")
    except EngineError as error:
        failure = error
    except Exception as error:  # noqa: BLE001 - the seam around a plugin: logged, and tried again later
        _log.warning("engine.refresh.failed", engine=guarded.name, key=key.number, exc_info=error)
        key.was_heard.set()
        return
    else:
        key.heard(None)
        return
    _log.warning("engine.refresh.failed", engine=guarded.name, key=key.number, reason=failure.message)
    key.heard(failure)
