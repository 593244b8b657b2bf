"""One worker for a test: opening it takes milliseconds, so none is shared."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.proxy.api.inside import TONE, Inside, inside, inside_fixture

server = inside_fixture()


PRICED = (
    TONE.replace("hosted = false", 'hosted = false\ncosts = { "*" = { usd = 0.5, per = "job" } }')
    + """
[plans.free]
allowance = 100
rpm = 1000
[plans.free.prices]
speech = { credits = 2.5, per = "job" }
[plans.custom]
price = "ask"
allowance = "account"
rpm = "account"
"""
)
"""A plan whose requests cost 2.5 credits each, and half a dollar; and one that leaves limits open."""


@pytest.fixture
async def priced(store_url: str, tmp_path: Path) -> AsyncIterator[Inside]:
    """On both databases, with ada on the plan `free`."""
    text = f'{PRICED}\n[storage]\nurl = "{store_url}"\n'
    async with inside(tmp_path, text, plan="free") as opened:
        yield opened


priced_once = inside_fixture(PRICED, plan="free")
"""The same on SQLite alone, for what is refused before it reaches a database."""
