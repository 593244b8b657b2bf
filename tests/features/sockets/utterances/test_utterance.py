"""An utterance speaks while its text comes: in pieces of one voice, as one stream of sound."""

import asyncio
from pathlib import Path

import numpy as np

from plugins.tone.decode import decode
from tests.features.sockets.utterances.rig import RATE_HZ, Ear, rig
from tests.proxy.api.inside import TONE
from tests.speech_engine.host.simulated_time import simulated

SIX = (
    "Hello there, this is the first one. And here is the second. Now comes a third one. "
    "The fourth is here. This is the fifth sentence. And the last one ends it."
)


def texts(ear: Ear) -> str:
    return " ".join(decode(np.frombuffer(bytes(ear.data), dtype="<i2"), RATE_HZ))


@simulated
async def test_pieces_are_one_stream_of_the_whole_text(tmp_path: Path) -> None:
    async with rig(tmp_path, TONE) as one:
        speech = await one.begin(model="tone", voice="alloy")
        for word in SIX.split(" "):
            speech.utterance.add(f"{word} ")
            await asyncio.sleep(0.05)
        end = await speech.whole()
        rows = await one.check(end)
    ear = speech.ear
    assert texts(ear) == SIX
    assert end.failure is None
    assert end.pieces == len(rows) == len(ear.starts) == len(ear.ends)
    assert ear.starts[0].text == "Hello there, this is the first one. "
    assert "".join(start.text for start in ear.starts).strip() == SIX
    assert sum(each.bytes for each in ear.ends) == len(ear.data)
    assert [row.outcome for row in rows] == ["finished"] * len(rows)
    assert [row.format for row in rows] == ["pcm"] * len(rows)
    assert end.usage.characters == len(SIX) + 1
    assert abs(end.usage.seconds - ear.seconds) < 1e-6
    print(len(rows), [len(start.text) for start in ear.starts], ear.seconds)
