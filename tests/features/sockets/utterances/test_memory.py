"""What utterances leave in memory: nothing that waits for a collection of garbage."""

from collections import Counter
from pathlib import Path

from tests.features.sockets.utterances.rig import Rig, rig
from tests.features.sockets.utterances.test_utterance import SIX
from tests.garbage import garbage
from tests.proxy.api.inside import TONE
from tests.speech_engine.host.simulated_time import simulated


async def _whole(one: Rig) -> None:
    end = await (await one.begin(SIX, model="tone", voice="alloy", response_format="opus")).whole()
    assert end.failure is None


async def _interrupted(one: Rig) -> None:
    speech = await one.begin(SIX, model="tone", voice="alloy")
    await speech.ear.has_sound(6.0)
    await speech.interrupt()


async def _lost(one: Rig) -> None:
    speech = await one.begin(SIX, model="tone", voice="alloy")
    await speech.ear.has_sound(6.0)
    await speech.lose(0.5)


@simulated
async def test_an_utterance_leaves_no_cycles_in_memory(tmp_path: Path) -> None:
    async with rig(tmp_path, TONE) as one:
        for speak in (_whole, _interrupted, _lost):
            found = Counter[str]()
            await speak(one)
            with garbage(found):
                await speak(one)
            assert found["SpokenPiece"] == found["Utterance"] == found["Prefetch"] == 0, (speak, found)
