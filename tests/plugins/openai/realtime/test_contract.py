"""The contract every engine keeps, over a real socket, for each way to check a transcript."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from speech_engine import Engine
from speech_engine.testing import EngineContract
from tests.plugins.openai.realtime.rig import pair


@asynccontextmanager
async def _refreshed(**settings: Any) -> AsyncIterator[Engine]:
    async with pair(**settings) as (engine, _):
        await engine.refresh()
        yield engine


class TestStrict(EngineContract):
    voice = "marin"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _refreshed()


class TestFast(EngineContract):
    voice = "fable"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _refreshed(check="fast", ahead=4)


class TestUnchecked(EngineContract):
    voice = "cedar"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _refreshed(check="off", ahead=0)
