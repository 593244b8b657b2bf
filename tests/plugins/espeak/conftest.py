"""The engine that most tests of the embedded voice speak with; a process has room for one at a time."""

from collections.abc import AsyncIterator

import pytest

from speech_engine import Engine
from tests.plugins.espeak.heard import espeak


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with espeak() as made:
        yield made
