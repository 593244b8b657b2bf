"""Measures Piper where its runtime is: `bench.piper` starts this in the environment of the plugin."""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import time
from contextlib import aclosing

import msgspec

from plugins.piper.engine import PiperEngine
from plugins.piper.plugin import PiperSettings
from plugins.piper.worker import voxgate_register
from speech_engine import Audio, Context, EngineVoice, Segment, SpeechJob
from speech_engine.host.log import HostLogger

SHORT = "The boat is on the lake this morning."
LONG = (
    "The boat is on the lake this morning, and nobody knows who left it there, or why its light still burns."
)
ROUNDS = 3


def job(*texts: str) -> SpeechJob:
    segments = tuple(Segment(text, 0, len(text)) for text in texts)
    voice = EngineVoice("alloy")
    return SpeechJob(id="job", tenant="t", model="standard", voice=voice, segments=segments, language="en")


async def speak(engine: PiperEngine, asked: SpeechJob) -> tuple[float, float, float]:
    """Return the seconds to the first sound, in all, and of sound."""
    begun, first, samples = time.perf_counter(), 0.0, 0
    async with aclosing(engine.speak(asked)) as events:
        async for event in events:
            if isinstance(event, Audio):
                first = first or time.perf_counter() - begun
                samples += len(event.pcm) // 2
    return first, time.perf_counter() - begun, samples / engine.models()[0].sample_rate_hz


async def cancel_ms(engine: PiperEngine, after_s: float) -> float:
    speaking = asyncio.create_task(speak(engine, job(LONG)))
    await asyncio.sleep(after_s)
    asked = time.perf_counter()
    speaking.cancel()
    await asyncio.wait((speaking,))
    return (time.perf_counter() - asked) * 1000


async def measure(folder: str, threads: int, slots: int) -> None:
    (plugin,) = voxgate_register()
    assert callable(plugin.create)
    settings = msgspec.convert({"model_paths": [folder], "threads": threads, "slots": slots}, PiperSettings)
    async with plugin.create("piper", settings, Context(HostLogger("piper"))) as engine:
        await speak(engine, job(SHORT))
        for name, asked in (("short", job(SHORT)), ("long", job(LONG)), ("five", job(*[SHORT] * 5))):
            rounds = [await speak(engine, asked) for _ in range(ROUNDS)]
            first, took, sound = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(f"|{threads}|1|{name}|{sound:.1f}|{first * 1000:.0f}|{took / sound:.3f}|")
        begun = time.perf_counter()
        both = await asyncio.gather(*(speak(engine, job(LONG)) for _ in range(slots)))
        took = time.perf_counter() - begun
        print(f"|{threads}|{slots}|long|{both[0][2]:.1f}|-|{took / sum(each[2] for each in both):.3f}|")
        whole = (await speak(engine, job(LONG)))[1]
        waits = [await cancel_ms(engine, whole * part / 20) for part in range(1, 20, 2)]
        print(
            f"cancelled in the middle: median {statistics.median(waits):.0f} ms, longest {max(waits):.0f} ms"
        )
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
