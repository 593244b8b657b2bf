"""How alike sounds are to a recording, where Resemblyzer is. `bench.pocket_heard` starts it."""

from __future__ import annotations

import asyncio
import sys
import wave
from pathlib import Path

from plugins.resemblyzer.plugin import ResemblyzerSettings
from plugins.resemblyzer.worker import SCALE, voxgate_register
from speech_engine import Context, Hosted
from speech_engine.host.log import HostLogger


def pcm_of(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        return bytes(file.readframes(file.getnframes()))


async def compare(own: bytes, sounds: list[bytes]) -> None:
    create = voxgate_register()[0].create
    assert not isinstance(create, Hosted)
    async with create("alike", ResemblyzerSettings(), Context(HostLogger("alike"))) as comparer:
        found = [comparer.compare(own, each) for each in sounds]
    shown = ", ".join(f"{each:.2f}" for each in found)
    print(f"speaker: {shown}; the same from {SCALE.same}, another up to {SCALE.other}")


if __name__ == "__main__":
    out = Path(sys.argv[1])
    spoken = sorted(out.glob("[0-9]*.16k.wav"))
    asyncio.run(compare(pcm_of(out / "recording.16k.wav"), [pcm_of(path) for path in spoken]))
