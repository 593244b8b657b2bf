"""What was heard of an utterance that is interrupted, in words; and when each word is heard."""

import asyncio
import random
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.tone.decode import find_frames
from plugins.tone.frames import SYMBOL_S, symbol_of_byte
from proxy.features.sockets.utterances.cutter import Cut
from proxy.features.sockets.utterances.spoken_words import PieceWords, spoken_to
from proxy.speech.spoken_word import SpokenWord
from speech_engine import Started
from tests.features.sockets.utterances.rig import PAIR, RATE_HZ, rig
from tests.features.sockets.utterances.test_utterance import SIX
from tests.plugins.espeak.heard import espeak_without_time
from tests.proxy.api.inside import TONE
from tests.proxy.api.scripted import Halt, Scripted, sound
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

INTERRUPTIONS = 20


def sounding(data: bytes) -> list[tuple[float, str]]:
    """Each word of decoded tones, with the moment at which its first letter begins to sound."""
    found = list[tuple[float, str]]()
    for frame in find_frames(np.frombuffer(data, dtype="<i2"), RATE_HZ):
        for word in re.finditer(r"\S+", frame.text):
            place = symbol_of_byte(len(frame.text[: word.start()].encode()))
            found.append((frame.start_s + place * SYMBOL_S, word[0]))
    return found


@simulated
async def test_with_the_tone_engine_it_is_exact_to_the_word(tmp_path: Path) -> None:
    """The words that the decoded sound has begun until then, though the engine did not say when."""
    async with rig(tmp_path, TONE) as one:
        whole = await one.begin(SIX, model="tone", voice="alloy")
        await whole.whole()
        words = sounding(bytes(whole.ear.data))
        assert " ".join(word for _, word in words) == SIX
        for played_ms in range(300, 8000, 700):
            speech = await one.begin(SIX, model="tone", voice="alloy")
            await speech.ear.has_sound(played_ms / 1000)
            told = await speech.interrupt(played_ms)
            assert told.text_spoken + told.text_remaining == SIX
            begun = [word for begins_s, word in words if begins_s < played_ms / 1000]
            # A mark behind a word belongs to none of the two sides.
            assert told.text_spoken.split() == [*begun[:-1], *_bare(begun[-1:], told.text_spoken)]


def _bare(last: list[str], spoken: str) -> list[str]:
    return [each if spoken.endswith(each) else each.rstrip(".,") for each in last]


@simulated
async def test_with_an_engine_that_times_words_it_is_right_within_a_word(tmp_path: Path) -> None:
    chosen = random.Random(7)
    async with (
        espeak_without_time() as engine,
        rig(tmp_path, "[engines.said]\n", engines={"said": engine}) as one,
    ):
        voice: dict[str, Any] = {"model": "said", "voice": "said/m3", "language": "en"}
        whole = await one.begin(SIX, **voice)
        await whole.whole()
        starts_ms, close = [word.start_ms for word in whole.ear.words], 0
        assert len(starts_ms) == len(SIX.split())
        for _ in range(INTERRUPTIONS):
            played_ms = round(chosen.uniform(100, whole.ear.seconds * 850))
            speech = await one.begin(SIX, **voice)
            speech.utterance.end()
            await speech.ear.has_sound(played_ms / 1000)
            told = await speech.interrupt(played_ms)
            begun = sum(start_ms < played_ms for start_ms in starts_ms)
            close += abs(len(told.text_spoken.split()) - begun) <= 1
    assert close >= 0.95 * INTERRUPTIONS


@simulated
async def test_the_words_of_all_pieces_have_the_times_of_the_utterance(tmp_path: Path) -> None:
    async with rig(tmp_path, TONE) as one:
        speech = await one.begin(SIX, model="tone", voice="alloy")
        await speech.whole()
    words, ear = speech.ear.words, speech.ear
    assert [word.text.strip(".,") for word in words] == [word.strip(".,") for word in SIX.split()]
    assert all(SIX[word.start : word.end] == word.text for word in words)
    assert all(before.end_ms <= after.start_ms for before, after in pairwise(words))
    assert words[-1].end_ms == pytest.approx(ear.seconds * 1000, abs=2)
    frames = find_frames(np.frombuffer(bytes(ear.data), dtype="<i2"), RATE_HZ)
    firsts = [word for word in words if word.start == 0 or SIX[word.start - 2] in ".?"]
    for frame, word in zip(frames, firsts, strict=True):
        assert frame.start_s * 1000 <= word.start_ms < frame.end_s * 1000


@simulated
async def test_without_a_place_the_time_since_the_first_sound_counts(tmp_path: Path) -> None:
    async with rig(tmp_path, TONE) as one:
        speech = await one.begin(SIX, model="tone", voice="alloy")
        await speech.ear.has_sound(0.1)
        await asyncio.sleep(3.0)
        told = await speech.interrupt()
        by_place = await one.begin(SIX, model="tone", voice="alloy")
        await by_place.ear.has_sound(3.1)
        assert told.text_spoken == (await by_place.interrupt(3000)).text_spoken
    assert 2750 <= told.sent_ms - 1000 <= 3400  # a message has 250 ms


@simulated
async def test_a_place_behind_what_was_sent_is_the_end_of_it(tmp_path: Path) -> None:
    async with rig(tmp_path, TONE) as one:
        speech = await one.begin(SIX, model="tone", voice="alloy")
        await speech.ear.has_sound(2.0)
        told = await speech.interrupt(60_000)
        again = await one.begin(SIX, model="tone", voice="alloy")
        await again.ear.has_sound(2.0)
        assert told.text_spoken == (await again.interrupt(told.sent_ms)).text_spoken
    assert told.text_remaining


@simulated
async def test_words_without_a_time_share_the_estimated_length(tmp_path: Path) -> None:
    text = "Alpha bravo charlie delta foxtrot hotel juliet kilowatt."
    halt = Halt()
    engine = Scripted(Started(RATE_HZ), *sound(2.0), halt)
    async with rig(tmp_path, PAIR, engines={"one": engine, "two": Scripted()}) as one:
        speech = await one.begin(text)
        await speech.ear.has_sound(1.9)
        told = await speech.interrupt(1800)
    assert told.text_spoken == "Alpha bravo charlie delta"


@simulated
async def test_no_more_is_heard_of_a_piece_than_what_was_sent_of_it(tmp_path: Path) -> None:
    text = "Alpha bravo charlie delta foxtrot hotel juliet kilowatt."
    engine = Scripted(Started(RATE_HZ), *sound(2.0), Halt())
    async with rig(tmp_path, PAIR, engines={"one": engine, "two": Scripted()}) as one:
        speech = await one.begin(text)
        await speech.ear.has_sound(1.9)
        told = await speech.interrupt(60_000)
    assert told.text_spoken.startswith("Alpha bravo charlie delta")
    assert "kilowatt" not in told.text_spoken


@each_row(
    "heard_s, spoken",
    [
        (0.0, ""),
        (0.1, "One"),
        (0.6, "One two"),
        (2.0, "One two three"),
        (2.6, "One two three, four"),
        (9.9, "One two three, four five"),
    ],
)
def test_the_last_word_that_had_begun_is_spoken(heard_s: float, spoken: str) -> None:
    text = "One two three, four five."
    first, second = PieceWords(Cut(0, text[:15]), 0.0, 2.0), PieceWords(Cut(15, text[15:]), 2.0, 2.0)
    first.note_spoken([SpokenWord(0.0, 0, 3), SpokenWord(0.5, 4, 7), SpokenWord(1.0, 8, 13)], is_over=True)
    second.note_spoken([SpokenWord(0.5, 0, 4)])
    place = spoken_to([first, second], heard_s)
    assert text[:place] == spoken


def test_a_word_is_told_when_its_end_is_known() -> None:
    piece = PieceWords(Cut(10, "Hello there."), 1.0, 2.0)
    words = [SpokenWord(0.0, 0, 5)]
    assert piece.note_spoken(words) == []
    words.append(SpokenWord(0.75, 6, 11))
    (first,) = piece.note_spoken(words)
    assert (first.text, first.start_ms, first.end_ms, first.start, first.end) == ("Hello", 1000, 1750, 10, 15)
    piece.length_s = 1.5
    (second,) = piece.note_spoken(words, is_over=True)
    assert (second.text, second.start_ms, second.end_ms, second.start) == ("there", 1750, 2500, 16)
    assert piece.note_spoken(words, is_over=True) == []


@simulated
async def test_without_times_of_words_a_place_behind_what_was_sent_is_the_end_of_it_too(
    tmp_path: Path,
) -> None:
    engine = Scripted(Started(RATE_HZ), *sound(2.0), Halt())
    async with rig(tmp_path, PAIR, engines={"one": engine, "two": Scripted()}) as one:
        speech = await one.begin("Alpha bravo charlie delta foxtrot hotel juliet kilowatt.")
        await speech.ear.has_sound(1.9)
        told = await speech.interrupt(60_000)
    assert told.text_remaining
