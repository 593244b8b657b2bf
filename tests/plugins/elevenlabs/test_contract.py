"""The contract every engine keeps, kept by this one in each of its ways to ask."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from speech_engine import Engine
from speech_engine.testing import EngineContract
from tests.plugins.elevenlabs.rig import VOICE, rig


@asynccontextmanager
async def _engine(*, word_times: bool) -> AsyncIterator[Engine]:
    async with rig(word_times=word_times) as made:
        yield made.engine


class TestElevenLabs(EngineContract):
    voice = VOICE
    tries_clones = True
    word_times = False

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return _engine(word_times=self.word_times)


class TestElevenLabsWithWordTimes(TestElevenLabs):
    word_times = True
