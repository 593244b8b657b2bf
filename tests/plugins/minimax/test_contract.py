"""The contract every engine keeps, on MiniMax: streamed, and in whole answers."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from speech_engine import (
    Engine,
    EngineClones,
    EngineDeletesVoices,
    EngineFindsClones,
    EngineRefreshes,
    EngineVoices,
)
from speech_engine.testing import EngineContract
from tests.plugins.minimax.rig import VOICE, rig


@asynccontextmanager
async def _engine(*, stream: bool) -> AsyncIterator[Engine]:
    async with rig(stream=stream) as running:
        yield running.engine


class TestMinimax(EngineContract):
    voice = VOICE
    tries_clones = True
    stream = True

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _engine(stream=self.stream)


class TestMinimaxInWholeAnswers(TestMinimax):
    stream = False


async def test_minimax_has_all_that_an_engine_of_the_cloud_may_have() -> None:
    async with rig() as running:
        parts = (Engine, EngineVoices, EngineRefreshes, EngineClones, EngineFindsClones, EngineDeletesVoices)
        for part in parts:
            assert isinstance(running.engine, part)
