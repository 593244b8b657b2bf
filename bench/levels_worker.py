"""Measures voices where their runtime is: `bench.levels` starts this in the environment of the plugins.

It reads JSON, and prints a line of JSON for each voice: its loudness in LUFS and its true peak in dBTP. They
are those of the network's pieces without a gain, or to `check` those of the engine's answers.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
from contextlib import aclosing
from importlib import import_module
from typing import Any

import msgspec
import numpy as np

from speech_engine import Audio, Context, EngineVoice, Segment, SpeechJob
from speech_engine.host.log import HostLogger
from speech_engine.host.onnx_engine import OnnxEngine
from speech_engine.host.onnx_network import StopSwitch
from speech_engine.host.silence import TAIL_MS, Edges, Sound, finish_piece
from speech_engine.loudness import loudness_of, true_peaks


async def main() -> None:
    asked = json.load(sys.stdin)
    folder, name = asked["folder"], asked["plugin"]
    (plugin,) = import_module(f"plugins.{name}.worker").voxgate_register()
    settings = {"piper": {"model_paths": [folder]}, "kokoro": {"model_path": folder}}
    made = msgspec.convert({**settings.get(name, {}), "threads": 1, "slots": 1}, plugin.settings)
    async with plugin.create(name, made, Context(HostLogger(name))) as engine:
        rate_hz = engine.models()[0].sample_rate_hz
        for voice, (language, texts) in asked["voices"].items():
            heard = [
                await (served if asked["check"] else made_alone)(engine, voice, language, text)
                for text in texts
            ]
            sound = np.concatenate(heard)
            peak_db = 20 * math.log10(float(np.max(true_peaks(np.pad(sound, 6)))))
            print(json.dumps([voice, loudness_of(sound, rate_hz), peak_db]), flush=True)


async def made_alone(engine: OnnxEngine[Any, Any], voice: str, language: str, text: str) -> Sound:
    found, rate_hz = engine.find(EngineVoice(voice), language), engine.models()[0].sample_rate_hz
    async with engine.lend(found, 60) as network:

        def spoken(stop: StopSwitch) -> Sound:
            pieces = engine.read(text, found, 0)
            sounds = [engine.sounds(network, piece, found, 1.0, stop) for piece in pieces]
            return np.concatenate(
                [part for sound in sounds for part in finish_piece(sound, Edges(rate_hz, TAIL_MS))]
            )

        return await engine.run(spoken)


async def served(engine: OnnxEngine[Any, Any], voice: str, language: str, text: str) -> Sound:
    job = SpeechJob(
        id="job",
        tenant="t",
        model="standard",
        voice=EngineVoice(voice),
        segments=(Segment(text, 0, len(text)),),
        language=language,
    )
    async with aclosing(engine.speak(job)) as events:
        pcm = b"".join([event.pcm async for event in events if isinstance(event, Audio)])
    return np.frombuffer(pcm, "<i2") / 32768


if __name__ == "__main__":
    asyncio.run(main())
