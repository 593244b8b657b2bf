"""The contract every engine keeps, on the embedded voice."""

from contextlib import AbstractAsyncContextManager
from typing import ClassVar

from speech_engine import Engine
from speech_engine.testing import EngineContract
from tests.plugins.espeak.heard import espeak


class TestEspeak(EngineContract):
    voice: ClassVar[str] = "f3"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return espeak()
