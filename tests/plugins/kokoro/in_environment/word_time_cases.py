"""When the words of a tiny model are heard, and what it says of networks that tell no true lengths."""

import asyncio
from contextlib import aclosing, nullcontext
from typing import Any

import msgspec
import numpy as np
import pytest

from plugins.kokoro.engine import FRAME, KokoroEngine, sound_starts
from plugins.kokoro.model_format import READINGS, STYLES
from plugins.kokoro.reading import own_alphabet
from plugins.kokoro.word_places import word_places
from plugins.kokoro.worker import reader
from speech_engine import Audio, SpeechJob, Words
from tests.plugins.kokoro import tiny
from tests.plugins.kokoro.in_environment.engine_cases import LONG, TEXT, job, opened
from tests.plugins.piper.tiny import BASE_HZ, STEP_HZ

RATE_HZ = tiny.RATE_HZ
Timed = tuple[str, int, int]
"""A word, its segment, and the sample at which it begins."""


async def heard(engine: KokoroEngine, asked: SpeechJob) -> tuple[np.ndarray[Any, Any], list[Timed]]:
    """Return the whole sound and the words."""
    sound, words = b"", list[Timed]()
    async with aclosing(engine.speak(asked)) as events:
        async for event in events:
            if isinstance(event, Audio):
                sound += event.pcm
            if isinstance(event, Words):
                text = asked.segments[event.segment].spoken
                words += [
                    (text[word.spoken_start : word.spoken_end], event.segment, word.sample_offset)
                    for word in event.words
                ]
    return np.frombuffer(sound, "<i2").astype(np.float64), words


def symbol_at(sound: np.ndarray[Any, Any], at: int, size: int) -> str:
    """Return the symbol that is heard from a sample on."""
    piece = sound[at : at + size]
    spectrum = np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 1 << 16))
    return tiny.SYMBOLS[round((np.argmax(spectrum) * RATE_HZ / (1 << 16) - BASE_HZ) / STEP_HZ)]


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("goes_whole", [False, True])
def test_a_word_begins_where_its_first_sound_is_heard(speed: float, goes_whole: bool) -> None:
    async def run() -> None:
        async with opened(lengths=tiny.Lengths()) as engine:
            assert engine.models()[0].times_words
            asked = msgspec.structs.replace(job(LONG, TEXT, speed=speed), goes_whole=goes_whole)
            sound, words = await heard(engine, asked)
        expected = []
        for number, text in enumerate((LONG, TEXT)):
            written = own_alphabet("".join(reader.read(text, "en-us")[0]), READINGS["a"])
            known = [each for each in written if each in tiny.SYMBOLS]
            expected += [
                (text[place.start : place.end], number, known[int(place.sound)])
                for place in word_places(text, known)
            ]
        assert len(words) == len(f"{LONG} {TEXT}".split())
        # A word inside of a group begins anywhere in a sound.
        size = round(FRAME / speed)
        assert expected == [(word, segment, symbol_at(sound, at, size)) for word, segment, at in words]

    asyncio.run(run())


class Halting:
    """A network with a second of silence at its beginning, its end and each blank."""

    def sound_and(
        self, outputs: object, values: dict[str, Any], rate_hz: int, stop: object
    ) -> list[np.ndarray[Any, Any]]:
        is_silent = np.isin(values["tokens"][0], (0, tiny.SYMBOLS.index(" ")))
        lengths = np.where(is_silent, RATE_HZ // FRAME, 4)
        tone = 0.3 * np.sin(np.arange(4 * FRAME) * 0.1, dtype=np.float32)
        silence = np.zeros(RATE_HZ, np.float32)
        sound = np.concatenate([silence if each else tone for each in is_silent])
        assert STYLES[0] in values
        return [sound, lengths[np.newaxis]]


@pytest.mark.parametrize("speed", [0.5, 1.0, 2.0])
def test_silence_that_is_cut_out_counts_for_no_word(speed: float) -> None:
    async def run() -> None:
        async with opened(lengths=tiny.Lengths()) as engine:
            engine.lend = lambda *_: nullcontext(Halting())  # type: ignore[method-assign]
            sound, words = await heard(engine, job(TEXT, "Go to bed.", speed=speed))
        assert [word for word, *_ in words] == ["The", "boat", "is", "on", "the", "lake", "Go", "to", "bed"]
        for word, _, at in words:
            before, behind = np.abs(sound[max(0, at - 600) : at]), np.abs(sound[at : at + 600])
            assert behind.max() > 1000, word
            assert word == "the" or before.max() < 200, word
        assert len(sound) < 10 * RATE_HZ

    asyncio.run(run())


@pytest.mark.parametrize(
    "lengths",
    [
        tiny.Lengths(-5.0, -5.0),
        tiny.Lengths(0.0, 0.0),
        tiny.Lengths(1e18, 2e18),
        tiny.Lengths(3.0, 3.0),
        # Two numbers for the whole.
        tiny.Lengths(axis=1),
    ],
)
def test_lengths_that_are_not_those_of_the_sound_tell_no_times(lengths: tiny.Lengths) -> None:
    async def run() -> None:
        asked = job(TEXT, "Go to bed.")
        async with opened(lengths=tiny.Lengths()) as engine:
            right, timed = await heard(engine, asked)
        async with opened(lengths=lengths) as engine:
            sound, words = await heard(engine, asked)
        assert timed
        assert words == []
        assert np.array_equal(sound, right)

    asyncio.run(run())


def test_a_network_without_lengths_speaks_as_before() -> None:
    async def run() -> None:
        async with opened() as engine:
            assert not engine.models()[0].times_words
            sound, words = await heard(engine, job(TEXT))
            assert len(sound)
            assert words == []

    asyncio.run(run())


def test_a_capped_answer_has_no_word_behind_its_sound() -> None:
    async def run() -> None:
        async with opened(lengths=tiny.Lengths()) as engine:
            whole, words = await heard(engine, job(TEXT, LONG, TEXT))
            for most in range(1000, len(whole), 9_777):
                asked = msgspec.structs.replace(job(TEXT, LONG, TEXT), max_samples=most)
                sound, some = await heard(engine, asked)
                assert len(sound) == most
                assert some == words[: len(some)]
                assert all(at <= most for *_, at in some)

    asyncio.run(run())


def test_a_length_below_one_tells_no_times_even_if_the_sum_is_right() -> None:
    assert sound_starts(np.array([[1, 2, 1]]), 3, 4 * FRAME) is not None
    assert sound_starts(np.array([[3, -1, 2]]), 3, 4 * FRAME) is None
