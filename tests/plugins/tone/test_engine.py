"""The tone engine as a server sees it: the contract, its settings, its word times and its limits."""

import asyncio
import subprocess
import sys
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import msgspec
import numpy as np
import pytest

from plugins.tone import plugin, worker
from plugins.tone.decode import decode
from plugins.tone.plugin import ToneSettings
from speech_engine import (
    HEARING_HZ,
    ContentRefused,
    Engine,
    EngineError,
    EngineFailed,
    EngineVoice,
    Event,
    Finished,
    HearJob,
    Hosted,
    Mix,
    Samples,
    Transcript,
    UnsupportedText,
    Voice,
    VoiceNotFound,
    Words,
)
from speech_engine.pcm import PcmReader
from speech_engine.testing import EngineContract, HearingContract, collect, job
from speech_engine.testing.hearing_contract import segments
from tests.plugins.tone.ears import pcm_of, spoken, tone, until_it_fails
from tests.tables import each_row

TEXT = "Hello there, world."
EARS = ToneSettings(hears=True)


class TestToneEngine(EngineContract):
    voice = "tone"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return tone(samples=self.recordings)


class TestToneEngineAtAnotherRate(EngineContract):
    voice = "bell"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return tone(ToneSettings(sample_rate_hz=11_025, slots=1, voices=("tone", "bell")), self.recordings)


class TestTonesEars(HearingContract):
    model = "ears"

    def engine(self) -> AbstractAsyncContextManager[Engine]:
        return tone(EARS)

    async def recording(self) -> bytes:
        return (await spoken(*self.texts, sample_rate_hz=HEARING_HZ)).tobytes()


async def heard_by_ears(pcm: bytes, **fields: Any) -> tuple[Event, ...]:
    job = HearJob(id="1", tenant="acc_1", model="ears", **fields)
    async with tone(EARS) as engine, aclosing(engine.transcribe(job, PcmReader(pcm, 4_801))) as events:
        return tuple([event async for event in events])


async def test_ears_hear_each_sentence_where_it_was_said_and_two_in_an_event() -> None:
    texts = ("Olá, você está bem?", "สวัสดี ครับ", "Two words.", "x" * 200, "Last.")
    pcm = (await spoken(*texts, sample_rate_hz=HEARING_HZ)).tobytes()
    silence = bytes(2 * HEARING_HZ)
    events = await heard_by_ears(silence + pcm + silence, times="words")
    heard = segments(events)
    assert [each.text.strip() for each in heard] == list(texts)
    assert [len(each.segments) for each in events if isinstance(each, Transcript)] == [2, 2, 1]
    async with tone(ToneSettings(sample_rate_hz=HEARING_HZ)) as engine:
        said = await collect(engine, job(*texts))
    starts_s = [
        1 + word.sample_offset / HEARING_HZ
        for event in said
        if isinstance(event, Words)
        for word in event.words
    ]
    assert [word.start_s for each in heard for word in each.words] == pytest.approx(starts_s, abs=0.002)
    assert events[-1] == Finished(units=2 + len(pcm) / 2 / HEARING_HZ)


async def test_ears_hear_through_noise_and_a_lost_frame_and_know_no_noise() -> None:
    noise = np.random.default_rng(7).normal(0, 300, 4 * HEARING_HZ).astype(np.int16)
    pcm = await spoken("One.", "Two.", "Three.", sample_rate_hz=HEARING_HZ)
    spoiled = pcm.copy()
    spoiled[13_000:14_500] = noise[:1_500]
    for sound, texts in ((noise, []), (pcm + noise[: len(pcm)] // 2, ["One.", "Two.", "Three."])):
        assert [each.text.strip() for each in segments(await heard_by_ears(sound.tobytes()))] == texts
    assert len(segments(await heard_by_ears(spoiled.tobytes()))) == 2


@each_row("prompt, error", [("fail", EngineFailed), ("refuse", ContentRefused), ("fail-late", EngineFailed)])
async def test_a_prompt_that_names_a_special_voice_makes_ears_fail(
    prompt: str, error: type[EngineError]
) -> None:
    pcm = (await spoken("One.", sample_rate_hz=HEARING_HZ)).tobytes()
    with pytest.raises(error):
        await heard_by_ears(pcm, prompt=prompt)


async def test_known_words_that_are_not_heard_are_unlikely() -> None:
    pcm = (await spoken("I am the owner.", "Yes.", sample_rate_hz=HEARING_HZ)).tobytes()
    first, second = segments(await heard_by_ears(pcm, texts=("I am not the owner.", "Yes.")))
    assert [word.logprob for word in first.words] == [-0.1, -0.1, -5.0, -0.1, -0.1]
    assert [word.text for word in second.words] == ["Yes."]
    assert second.start_s > first.end_s
    (one,) = segments(await heard_by_ears(pcm, texts=("Not it.",), transcribes=True))
    assert (one.text, [word.text for word in one.words]) == ("I am the owner. Yes.", ["Not", "it."])


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
