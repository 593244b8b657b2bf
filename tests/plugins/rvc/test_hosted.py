"""RVC in a host of its own, as a server runs it: many clients, some of whom leave, and hosts that die."""

import asyncio

import pytest

from tests.plugins.rvc.kept_host import RATES_HZ, SOURCE_HZ, kept_host, recording
from tests.sound import difference

pytestmark = pytest.mark.slow

CLIENTS = 6
MOST_LSB = 2


async def test_each_layout_streams_at_its_own_rate_and_as_long_as_the_recording() -> None:
    pcm = recording(8.3)
    async with kept_host() as kept:
        for voice, rate_hz in enumerate(RATES_HZ):
            pieces = await kept.convert(voice, pcm)
            assert sum(map(len, pieces)) // 2 == len(pcm) // 2 * rate_hz // SOURCE_HZ
            # After one second, two, five, and the rest.
            assert len(pieces) >= 4
        # Each voice came once.
        assert len(kept.source.asked) == len(RATES_HZ)


async def test_clients_with_three_voices_hear_what_each_hears_alone() -> None:
    asked = [(number % 3, recording(2.0 + 0.9 * number, number)) for number in range(CLIENTS)]
    async with kept_host() as kept:
        alone = [b"".join(await kept.convert(*each, seed=number)) for number, each in enumerate(asked)]
        together = await asyncio.gather(
            *(kept.convert(*each, seed=number) for number, each in enumerate(asked))
        )
        again = b"".join(await kept.convert(*asked[0], seed=0))
    for pieces, one in zip(together, alone, strict=True):
        assert difference(b"".join(pieces), one) <= MOST_LSB
    assert again == alone[0]
    assert len(set(alone)) == CLIENTS
