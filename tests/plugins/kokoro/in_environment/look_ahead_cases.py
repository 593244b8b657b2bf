"""What is heard where a sentence is cut: each sound once, and no pause."""

import asyncio
import re
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from plugins.kokoro.engine import FRAME, KokoroEngine, quiet_cut
from plugins.kokoro.model_format import READINGS
from plugins.kokoro.reading import WHOLE_SOUNDS, read_text
from plugins.kokoro.worker import reader
from speech_engine.host.onnx_network import OnnxNetwork
from speech_engine.text.sounds import Piece
from tests.plugins.kokoro import tiny
from tests.plugins.kokoro.in_environment.engine_cases import LONG, TEXT, job, opened
from tests.plugins.kokoro.in_environment.word_time_cases import heard

SYMBOL = 2 * FRAME
"""The samples of a symbol of the tiny network."""
KNOWN = {symbol: number for number, symbol in enumerate(tiny.SYMBOLS) if number}
FIRST, *_ = read_text(LONG, READINGS["a"], KNOWN, reader.read, looks_ahead=True)


class QuietAt:
    """A network that is quieter in one sound of a sentence's first piece."""

    def __init__(self, network: OnnxNetwork, sound: int) -> None:
        self._network = network
        self._sound = sound

    def sound_and(self, outputs: Any, values: Any, *more: Any) -> list[np.ndarray[Any, Any]]:
        sound, *lengths = self._network.sound_and(outputs, values, *more)
        if tuple(values["tokens"][0]) == FIRST.numbers:
            begin = (1 + self._sound) * SYMBOL
            sound[begin : begin + SYMBOL] *= 0.1
        return [sound, *lengths]


def listened_to(engine: KokoroEngine) -> list[Piece]:
    """Return a list to which each piece is added that is given to the network."""
    given, make = list[Piece](), engine.sounds

    def watched(network: Any, piece: Piece, *more: Any) -> Any:
        given.append(piece)
        return make(network, piece, *more)

    engine.sounds = watched  # type: ignore[method-assign, assignment]
    return given


@pytest.mark.parametrize("cut", FIRST.cuts)
def test_the_next_piece_goes_on_behind_the_quietest_end_of_a_word(cut: int) -> None:
    async def run() -> None:
        async with opened(lengths=tiny.Lengths()) as engine:
            async with engine.lend(engine.find(job(TEXT).voice, "en"), 1) as network:
                engine.lend = lambda *_: nullcontext(QuietAt(network, cut))  # type: ignore[method-assign]
            given = listened_to(engine)
            _, words = await heard(engine, job(LONG))
        assert [word for word, *_ in words] == re.findall(r"[^\s,.]+", LONG)
        second = given[1]
        said = [tiny.SYMBOLS[each] for each in FIRST.numbers[2 + cut : -1]]
        assert [tiny.SYMBOLS[each] for each in second.numbers[1 : 1 + len(said)]] == said
        # A piece has a pad at its beginning, and half a sound is heard together with it.
        longest = max(map(len, "".join(tiny.SYMBOLS[each] for each in second.numbers).split()))
        assert max(after - at for (*_, at), (*_, after) in pairwise(words)) < (longest + 2.5) * SYMBOL

    assert len(FIRST.cuts) > 1
    asyncio.run(run())


def test_the_sound_goes_on_until_the_end_of_a_silence_and_the_last_one_is_taken() -> None:
    lengths = np.array([1, *[4, 2] * 4, 4, 1])
    tone = np.float32(0.3) * np.sin(np.arange(lengths.sum() * FRAME) * 0.1, dtype=np.float32)
    starts = np.append(0.0, np.cumsum(lengths)) * FRAME
    cuts = (1, 3, 5)
    begins, ends = ([int(starts[cut + each]) for cut in cuts] for each in (1, 2))
    for quiet in range(3):
        sound = tone.copy()
        sound[begins[quiet] : ends[quiet]] *= 0.5
        cut, end = quiet_cut(sound, starts, cuts)
        assert cut == cuts[quiet]
        assert begins[quiet] + FRAME <= end <= ends[quiet]
    for begin, end in zip(begins, ends, strict=True):
        tone[begin:end] = 0
    cut, end = quiet_cut(tone, starts, cuts)
    assert cut == cuts[-1]
    assert end == pytest.approx(ends[-1], abs=10)
    assert quiet_cut(np.zeros_like(tone), starts, cuts)[0] == cuts[-1]


def test_lengths_that_are_wrong_once_are_believed_no_more() -> None:
    async def run() -> None:
        async with opened(lengths=tiny.Lengths(3.0, 3.0)) as engine:
            given = listened_to(engine)
            await heard(engine, job(LONG))
            first, alone, *_ = given
            assert (first.cuts, alone.cuts) == (FIRST.cuts, ())
            assert alone.numbers[1:-1] == first.numbers[1 : 1 + first.sounds]
            given.clear()
            await heard(engine, job(LONG))
            assert [piece.cuts for piece in given] == [()] * len(given)
            assert len(given) > 1

    asyncio.run(run())


def test_an_answer_that_is_made_whole_and_a_short_sentence_are_not_cut() -> None:
    async def run() -> None:
        async with opened(lengths=tiny.Lengths()) as engine:
            given = listened_to(engine)
            await heard(engine, job(TEXT, TEXT))
            assert [piece.cuts for piece in given] == [(), ()]
            assert max(piece.sounds for piece in given) < WHOLE_SOUNDS

    asyncio.run(run())


def test_later_pieces_look_ahead_once_their_listener_has_sound() -> None:
    async def run() -> None:
        text = ", ".join([LONG.strip(".")] * 3)
        async with opened(lengths=tiny.Lengths()) as engine:
            voice = engine.find(job(TEXT).voice, "en")
            pieces = [engine.read(text, voice, before) for before in (0, 1, 319, 320)]
        assert [any(piece.cuts for piece in each) for each in pieces] == [True, False, False, True]

    asyncio.run(run())


def test_a_piece_that_is_cut_has_the_style_of_more_sounds() -> None:
    def by_length(_higher: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return np.repeat(np.arange(1, 511, dtype=np.float32), 256).reshape(510, 1, 256)

    async def run() -> None:
        styles = dict[int, float]()

        class Watched(QuietAt):
            def sound_and(self, outputs: Any, values: Any, *more: Any) -> list[np.ndarray[Any, Any]]:
                styles[values["tokens"].size - 2] = values["style"][0, 0]
                return super().sound_and(outputs, values, *more)

        async with opened(lengths=tiny.Lengths(), styles=by_length) as engine:
            async with engine.lend(engine.find(job(TEXT).voice, "en"), 1) as network:
                engine.lend = lambda *_: nullcontext(Watched(network, 0))  # type: ignore[method-assign]
            given = listened_to(engine)
            await heard(engine, job(LONG))
        assert {bool(piece.cuts) for piece in given} == {True, False}
        for piece in given:
            sounds = len(piece.numbers) - 2
            assert styles[sounds] == (round(sounds * 1.2) if piece.cuts else sounds)

    asyncio.run(run())
