"""Many erasures while clones are made: in the end no provider has a copy, and no row is left."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from proxy.feature_list import open_store
from proxy.features.clones import records
from tests.features.clones.clone_rig import ENGINES, CloneRig, clone_rig, owned_voice, voices_at

pytestmark = pytest.mark.slow

ROUNDS, AT_ONCE = 10, 20
"""200 erasures, each at another moment of the clone."""


async def test_nothing_is_left_after_200_erasures_among_running_clones(tmp_path: Path) -> None:
    async with open_store("sqlite", tmp_path) as store, clone_rig(store) as rig:
        rig.elevenlabs.voice_slots = rig.elevenlabs.most_additions = 10_000
        making = asyncio.create_task(_make(rig))
        for round_ in range(ROUNDS):
            engine = ENGINES[round_ % 2]
            await asyncio.gather(*(_want_and_erase(rig, engine, number) for number in range(AT_ONCE)))
        making.cancel()
        await asyncio.wait([making])
        await rig.clone_tasks.finish()
        while await records.list_all(store):
            await rig.later()
        assert [voices_at(rig, engine) for engine in ENGINES] == [[], []]
        erased = await store.read("SELECT count(*) AS number FROM erasures")
        assert erased[0]["number"] == ROUNDS * AT_ONCE


async def _make(rig: CloneRig) -> None:
    while True:
        await rig.clone_tasks.turn()


async def _want_and_erase(rig: CloneRig, engine: str, number: int) -> None:
    voice = await owned_voice(rig.store)
    await rig.want(voice, engine)
    provider = rig.providers[engine]
    asked = len(provider.seen) + number % 10
    # If all others are made already, so many requests do not come any more: it is erased after its own.
    with suppress(TimeoutError):
        await provider.until(lambda: len(provider.seen) >= asked, within_s=2.0)
    await rig.erase(voice)
