"""What is heard of the real network: the same sound each time, quickly, of every text that may come."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import numpy as np
import pytest

from plugins.hibari import worker
from plugins.hibari.engine import HibariEngine
from plugins.hibari.plugin import VOICE, HibariSettings
from plugins.hibari.reading import MOST_SOUNDS
from speech_engine import (
    Audio,
    Context,
    EngineUnavailable,
    EngineVoice,
    Segment,
    SpeechJob,
    UnsupportedLanguage,
    UnsupportedText,
    VoiceNotFound,
)
from speech_engine.host.log import HostLogger

TEXT = "On the 3rd of March, 1,250 people paid $9.99 each to hear it read at 7:30 pm."


@asynccontextmanager
async def opened() -> AsyncIterator[HibariEngine]:
    (plugin,) = worker.voxgate_register()
    assert callable(plugin.create)
    async with plugin.create("hibari", HibariSettings(slots=4), Context(HostLogger("hibari"))) as engine:
        yield engine


async def spoken(
    engine: HibariEngine, text: str, *, voice: str = VOICE, language: str = "en", speed: float = 1.0
) -> bytes:
    job = SpeechJob(
        id="job",
        tenant="",
        model="standard",
        voice=EngineVoice(voice),
        segments=(Segment(text, 0, len(text)),),
        language=language,
        speed=speed,
    )
    async with aclosing(engine.speak(job)) as events:
        return b"".join([event.pcm async for event in events if isinstance(event, Audio)])


def test_a_text_sounds_alike_each_time_and_beside_others() -> None:
    async def run() -> None:
        async with opened() as engine:
            (info,) = engine.models()
            first = await spoken(engine, TEXT)
            assert set(await asyncio.gather(*[spoken(engine, TEXT) for _ in range(4)])) == {first}
            assert 4.0 < len(first) / 2 / info.sample_rate_hz < 9.0
            assert len(await spoken(engine, TEXT, speed=2.0)) < 0.6 * len(first)
            assert np.abs(np.frombuffer(first, "<i2")).max() > 2_000

    asyncio.run(run())


def test_every_text_is_spoken_or_refused_and_none_breaks_it() -> None:
    read = ["9" * 4_096, "1," * 2_000, "a" * 3_000, "www." * 300 + "com", "a\x00b", "[a](/b/) [](//) (("]
    refused = ["\U0001f600\U0001f600", "\u041f\u0440\u0438\u0432\u0435\u0442", "...", "[]", "\n\n", "$" * 500]

    async def run() -> None:
        async with opened() as engine:
            for text in read:
                pieces = engine.read(text, VOICE, 0)
                assert max(piece.sounds for piece in pieces) <= MOST_SOUNDS, text[:20]
                assert len(await spoken(engine, text[:60])) > 10_000, text[:20]
            for text in refused:
                with pytest.raises(UnsupportedText):
                    await spoken(engine, text)
            with pytest.raises(UnsupportedLanguage):
                await spoken(engine, "Hola.", language="es")
            with pytest.raises(VoiceNotFound):
                await spoken(engine, "Hello.", voice="emma")

    asyncio.run(run())


def test_another_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "NETWORK", "0" * 64)

    async def run() -> None:
        with pytest.raises(EngineUnavailable, match="another network"):
            async with opened():
                pass

    asyncio.run(run())


def test_it_is_a_hundredth_of_the_time_of_its_sound() -> None:
    async def run() -> None:
        async with opened() as engine:
            await spoken(engine, TEXT)
            began = time.process_time()
            sound = await spoken(engine, TEXT * 5)
            assert time.process_time() - began < 0.1 * len(sound) / 48_000

    asyncio.run(run())
