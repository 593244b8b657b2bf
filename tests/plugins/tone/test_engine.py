"""The tone engine as a server sees it: the contract, its settings, its word times and its limits."""

import asyncio
import subprocess
import sys
from contextlib import AbstractAsyncContextManager

import msgspec
import numpy as np
import pytest

from plugins.tone import plugin, worker
from plugins.tone.decode import decode
from plugins.tone.plugin import ToneSettings
from speech_engine import (
    Engine,
    EngineVoice,
    Finished,
    Hosted,
    Mix,
    Samples,
    UnsupportedText,
    Voice,
    VoiceNotFound,
    Words,
)
from speech_engine.testing import EngineContract, collect, job
from tests.plugins.tone.ears import pcm_of, tone, until_it_fails
from tests.tables import each_row

TEXT = "Hello there, world."


class TestToneEngine(EngineContract):
    voice = "tone"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return tone(samples=self.recordings)


class TestToneEngineAtAnotherRate(EngineContract):
    voice = "bell"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return tone(ToneSettings(sample_rate_hz=11_025, slots=1, voices=("tone", "bell")), self.recordings)


async def test_settings_make_ordinary_voices_late_or_broken() -> None:
    loop = asyncio.get_running_loop()
    async with tone(ToneSettings(delay_s=0.05, fail="ContentRefused", voices=("a", "b"))) as engine:
        began = loop.time()
        _, raised = await until_it_fails(engine, "b", TEXT)
        assert loop.time() - began >= 0.04
        assert pcm_of(await collect(engine, job(TEXT, voice="silent"))).size
    assert not raised.may_fall_back


async def test_words_begin_where_their_bytes_sound() -> None:
    texts = ("Olá, você está bem?", "สวัสดี ครับ")
    async with tone() as engine:
        events = await collect(engine, job(*texts))
    heard = [
        (texts[event.segment][word.spoken_start : word.spoken_end], word.sample_offset)
        for event in events
        if isinstance(event, Words)
        for word in event.words
    ]
    assert [word for word, _ in heard] == " ".join(texts).split()
    pcm = pcm_of(events)
    # The first byte's high half picks the tone: 500 Hz and 200 more for each.
    for word, offset in heard:
        symbol = pcm[offset : offset + 576].astype(float) * np.hanning(576)
        loudest_hz = np.argmax(np.abs(np.fft.rfft(symbol, 24_000)))
        assert abs(loudest_hz - 500 - 200 * (word.encode()[0] >> 4)) < 40


async def test_an_engine_may_be_softer_and_say_who_speaks() -> None:
    settings = ToneSettings(level_db=-20, says_voice=True, voices=("malee",))
    async with tone() as usual, tone(settings) as other:
        loud = pcm_of(await collect(usual, job("One two.")))
        events = await collect(other, job("One two.", voice="malee"))
    soft = pcm_of(events)
    assert decode(soft, 24_000) == ("malee:One two.",)
    assert abs(soft).max() == pytest.approx(abs(loud).max() / 10, rel=0.01)
    words = [word for event in events if isinstance(event, Words) for word in event.words]
    assert [(word.spoken_start, word.spoken_end) for word in words] == [(0, 3), (4, 8)]
    # Before the first one lie the preamble, the length and the name.
    assert words[0].sample_offset == (7 + 2 * (2 + len("malee:"))) * 576


async def test_the_engine_stops_exactly_at_the_most_samples_and_times_no_word_beyond() -> None:
    async with tone() as engine:
        events = await collect(engine, job("one two three four", "five", max_samples=20_001))
    words = [word for event in events if isinstance(event, Words) for word in event.words]
    assert len(pcm_of(events)) == 20_001
    assert words
    assert all(word.sample_offset < 20_001 for word in words)
    assert isinstance(events[-1], Finished)


async def test_faster_is_shorter() -> None:
    async with tone() as engine:
        lengths = [len(pcm_of(await collect(engine, job(TEXT, speed=speed)))) for speed in (0.5, 1.0, 2.0)]
    assert lengths == [2 * lengths[1], lengths[1], lengths[1] // 2]


@pytest.mark.parametrize("text", ["\ud800", "x" * 65_536])
async def test_a_text_that_no_frame_can_hold_is_unsupported(text: str) -> None:
    async with tone() as engine:
        with pytest.raises(UnsupportedText) as caught:
            await collect(engine, job(text))
    assert text not in str(caught.value)
    assert caught.value.__cause__ is None


@each_row("voice", [Mix(()), Mix(((EngineVoice("tone"), 0.0),)), Samples(())])
async def test_a_voice_of_nothing_is_not_found(voice: Voice) -> None:
    async with tone() as engine:
        with pytest.raises(VoiceNotFound):
            await collect(engine, job(TEXT, voice=voice))


def test_the_front_names_the_worker_and_both_have_the_same_settings() -> None:
    (front,) = plugin.voxgate_register()
    (back,) = worker.voxgate_register()
    assert front.create == Hosted("plugins.tone.worker", in_process=True, trainer="plugins.tone.trainer")
    assert (front.kind, front.name, front.settings) == (back.kind, back.name, back.settings)


@each_row(
    "wrong",
    [
        {"slots": 0},
        {"sample_rate_hz": 7_999},
        {"sample_rate_hz": 48_001},
        {"pace": -1},
        {"fail": "Oops"},
        {"x": 1},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, ToneSettings)


def test_the_engine_needs_no_numpy() -> None:
    program = "import sys, plugins.tone.worker; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
