"""The contract every engine keeps, over a real socket, as bytes and as events."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from speech_engine import Engine
from speech_engine.testing import EngineContract
from tests.plugins.openai.upstream import pair


@asynccontextmanager
async def _refreshed(server: str, **settings: Any) -> AsyncIterator[Engine]:
    async with pair(server, **settings) as (engine, _):
        await engine.refresh()
        yield engine


class TestOpenAI(EngineContract):
    voice = "alloy"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _refreshed("")


class TestOpenAIWithEvents(EngineContract):
    voice = "alloy"
    model = "gpt-4o-mini-tts"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _refreshed("", stream="sse")


class TestAServerThatGivesWav(EngineContract):
    voice = "vivian"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _refreshed("vllm", stream="sse", formats=("wav",))


class TestAServerThatTakesRecordings(EngineContract):
    voice = "vivian"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _refreshed("vllm", samples=self.recordings, recordings="json")


class TestAServerThatTakesFormsWithRecordings(EngineContract):
    voice = "alloy"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _refreshed("voxgate", samples=self.recordings, recordings="form")
