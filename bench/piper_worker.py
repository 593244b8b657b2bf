"""Measures Piper where its runtime is: `bench.piper` starts this in the environment of the plugin."""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import time
from contextlib import aclosing
from pathlib import Path

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
    voice = EngineVoice(Path(sys.argv[1]).name)
    return SpeechJob(id="job", tenant="t", model="standard", voice=voice, segments=segments, language="en")


async def speak(engine: PiperEngine, asked: SpeechJob) -> tuple[float, float, float, float]:
    """Return the seconds to the first sound, in all, of the processor, and of sound."""
    begun, used, first, samples = time.perf_counter(), time.process_time(), 0.0, 0
    async with aclosing(engine.speak(asked)) as events:
        async for event in events:
            if isinstance(event, Audio):
                first = first or time.perf_counter() - begun
                samples += len(event.pcm) // 2
    sound = samples / engine.models()[0].sample_rate_hz
    return first, time.perf_counter() - begun, time.process_time() - used, sound


async def cancel_ms(engine: PiperEngine, after_s: float) -> tuple[float, float]:
    """Return how long the end of a piece in the making takes, and how much of it the processor worked."""
    speaking = asyncio.create_task(speak(engine, job(LONG)))
    await asyncio.sleep(after_s)
    asked, used = time.perf_counter(), time.process_time()
    speaking.cancel()
    await asyncio.wait((speaking,))
    return (time.perf_counter() - asked) * 1000, (time.process_time() - used) * 1000


async def measure(folder: str, threads: int, slots: int) -> None:
    (plugin,) = voxgate_register()
    assert callable(plugin.create)
    settings = msgspec.convert({"model_paths": [folder], "threads": threads, "slots": slots}, PiperSettings)
    async with plugin.create("piper", settings, Context(HostLogger("piper"))) as engine:
        await speak(engine, job(SHORT))
        for name, asked in (("short", job(SHORT)), ("long", job(LONG)), ("five", job(*[SHORT] * 5))):
            rounds = [await speak(engine, asked) for _ in range(ROUNDS)]
            first, took, used, sound = (statistics.median(column) for column in zip(*rounds, strict=True))
            print(
                f"|{threads}|1|{name}|{sound:.1f}|{first * 1000:.0f}|{took / sound:.2f}|{used / sound:.2f}|"
            )
        begun, used = time.perf_counter(), time.process_time()
        both = await asyncio.gather(*(speak(engine, job(LONG)) for _ in range(slots)))
        took, used = time.perf_counter() - begun, time.process_time() - used
        sound = sum(each[-1] for each in both)
        print(f"|{threads}|{slots}|long|{both[0][-1]:.1f}|-|{took / sound:.2f}|{used / sound:.2f}|")
        whole = (await speak(engine, job(LONG)))[1]
        waits = [await cancel_ms(engine, whole * part / 20) for part in range(1, 20, 2)]
        for name, column in zip(("", ", of the processor"), zip(*waits, strict=True), strict=True):
            print(f"cancelled{name}: median {statistics.median(column):.0f} ms, longest {max(column):.0f} ms")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
