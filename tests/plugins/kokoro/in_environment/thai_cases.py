"""What is heard of a tiny model that learned Thai: its sounds, the times of words, and wrong lengths."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from plugins.kokoro.engine import KokoroEngine
from plugins.kokoro.plugin import KokoroSettings
from plugins.kokoro.worker import voxgate_register
from speech_engine import Context, UnsupportedText
from speech_engine.host.log import HostLogger
from speech_engine.model_files import UnusableModel
from tests.plugins.kokoro import tiny
from tests.plugins.kokoro.in_environment.engine_cases import job, spoken
from tests.plugins.kokoro.in_environment.word_time_cases import RATE_HZ, heard, symbol_at

TEXT = "สวัสดีครับ ไปน้ำ"
WRITTEN = "sa↓.wat↓.diː→ kʰrap↑ paj→ naːm↑"


def symbols(pcm: bytes) -> str:
    """Return what is heard of a network that makes each sound two frames long."""
    return tiny.heard(pcm, speed=tiny.LENGTHS_SPEED)


@asynccontextmanager
async def opened(lengths: tiny.Lengths | None = None, **more: object) -> AsyncIterator[KokoroEngine]:
    with tempfile.TemporaryDirectory(prefix="thai-") as folder:
        path = str(tiny.thai_stored(Path(folder) / "tiny", lengths, **more))
        made = msgspec.convert({"model_path": path}, KokoroSettings)
        (plugin,) = voxgate_register()
        assert callable(plugin.create)
        async with plugin.create("kokoro-thai", made, Context(HostLogger("kokoro"))) as engine:
            yield engine


def test_thai_is_heard_with_the_sounds_of_the_dictionary() -> None:
    async def run() -> None:
        async with opened() as engine:
            assert engine.models()[0].times_words
            assert [voice.language for voice in engine.voices()] == ["th"]
            asked = job(TEXT, voice=tiny.THAI_VOICE, language="th")
            (sound,) = await spoken(engine, asked)
            assert symbols(sound) == WRITTEN
            pcm, words = await heard(engine, asked)
            assert [word for word, *_ in words] == ["สวัสดี", "ครับ", "ไป", "น้ำ"]
            assert [symbol_at(pcm, at, 1_200) for *_, at in words] == ["s", "k", "p", "n"]
            (english,) = await spoken(engine, msgspec.structs.replace(asked, segments=job("boat").segments))
            assert symbols(english) == "boːt↑"

    asyncio.run(run())


@pytest.mark.parametrize(
    "lengths",
    [
        tiny.Lengths(-5.0, -5.0),
        tiny.Lengths(1e18, 2e18),
        tiny.Lengths(3.0, 3.0),
        tiny.Lengths(axis=1),
        # The file has none.
        None,
    ],
)
def test_a_network_with_wrong_lengths_speaks_all_that_it_makes(lengths: tiny.Lengths | None) -> None:
    async def run() -> None:
        asked = job(TEXT, voice=tiny.THAI_VOICE, language="th")
        async with opened(lengths, tells=lengths is not None) as engine:
            sound, words = await heard(engine, asked)
        assert words == []
        hears = symbols if lengths else tiny.heard
        assert hears(sound.astype("<i2").tobytes()) == WRITTEN
        assert len(sound) > RATE_HZ

    asyncio.run(run())


def test_what_has_no_sounds_is_refused_and_what_is_long_is_cut() -> None:
    async def run() -> None:
        async with opened() as engine:
            for text in ("่", "😀", "เ" * 400):
                with pytest.raises(UnsupportedText):
                    await spoken(engine, job(text, voice=tiny.THAI_VOICE, language="th"))
            (sound,) = await spoken(engine, job("สวัสดี" * 60, voice=tiny.THAI_VOICE, language="th"))
            assert len(sound) / 2 / RATE_HZ > 30

    asyncio.run(run())


def test_a_thai_voice_without_words_is_refused() -> None:
    async def run() -> None:
        with pytest.raises(UnusableModel, match=r"words\.json is missing"):
            async with opened(words=None):
                pass

    asyncio.run(run())
