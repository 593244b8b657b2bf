"""Visitors of a queue are sent home when their test is over."""

from collections.abc import AsyncIterator

import pytest

from tests.speech_engine.host.visitors import Crowd


@pytest.fixture
async def everybody_goes() -> AsyncIterator[None]:
    """Asked for by tests that leave visitors inside."""
    Crowd.together.clear()
    yield
    for crowd in Crowd.together:
        await crowd.go()
    Crowd.together.clear()
