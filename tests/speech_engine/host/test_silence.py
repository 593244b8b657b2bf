"""The silence around a piece of sound, and the pauses between pieces."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from speech_engine.host.silence import END_MS, HEAD_MS, JOIN_MS, TAIL_MS, Edges, finish_piece, rest_after
from speech_engine.text.sounds import Ends
from tests.tables import each_row

RATE_HZ = 24_000
ORDER: tuple[Ends, ...] = ("phrase", "clause", "sentence", "paragraph")


def ms(count: float, loud: float = 0.0) -> NDArray[np.float32]:
    return np.full(round(count * RATE_HZ / 1000), loud, np.float32)


def heard(*parts: NDArray[np.float32], tail_ms: float = TAIL_MS) -> NDArray[np.float32]:
    return np.concatenate([*finish_piece(parts, Edges(RATE_HZ, tail_ms))])


def length_ms(sound: NDArray[np.float32]) -> float:
    return 1000 * len(sound) / RATE_HZ


@each_row(
    ("ends", "sentence_ms", "speed", "silence_ms"),
    [
        ("phrase", 450, 1, 80),  # the fades of both pieces
        ("clause", 450, 1, 225),
        ("sentence", 450, 1, 450),
        ("paragraph", 450, 1, 850),
        ("sentence", 450, 2, 225),
        ("paragraph", 450, 0.25, 3400),
        ("sentence", 1000, 1, 1000),
        ("paragraph", 1000, 1, 1000),
        ("clause", 100, 1, 100),
    ],
)
def test_a_pause_has_its_length_from_sound_to_sound(
    ends: Ends, sentence_ms: int, speed: float, silence_ms: float
) -> None:
    rest = rest_after(ends, sentence_ms, speed)
    made = np.concatenate((heard(ms(300, 0.5), ms(500), tail_ms=rest.tail_ms), ms(rest.more_ms)))
    assert length_ms(made) - 300 + HEAD_MS == pytest.approx(silence_ms, abs=0.2)


@each_row("sentence_ms", [0, 100, 450, 2000])
@each_row("speed", [0.25, 1.0, 4.0])
def test_no_setting_breaks_the_order_of_the_pauses(sentence_ms: int, speed: float) -> None:
    rests = [sum(rest_after(ends, sentence_ms, speed)) for ends in ORDER]
    assert all(one <= other for one, other in pairwise(rests))
    assert rests[0] < rests[-1]


def test_an_answer_ends_with_little_silence() -> None:
    assert sum(rest_after(None, 450, 1.0)) == END_MS
    assert sum(rest_after(None, 450, 2.0)) == END_MS / 2


@each_row("loud", [0.0, 0.5])
@each_row("count", [1, 7])
def test_after_a_word_the_sound_goes_on_in_the_next_piece_without_a_step(loud: float, count: int) -> None:
    first, edges = ms(300, 0.5), Edges(RATE_HZ, rest_after("word", 450, 1.0).tail_ms)
    second = np.concatenate((ms(200), loud * np.hanning(ms(300).size).astype(np.float32)))
    made = np.concatenate([*finish_piece(np.array_split(first, count), edges)])
    following = np.concatenate([*finish_piece([second], Edges(RATE_HZ, TAIL_MS, edges))])
    assert length_ms(made) == 300 - JOIN_MS == 300 - length_ms(edges.overlap)
    assert len(following) == len(heard(second))
    both = np.concatenate((made, following))
    assert np.abs(np.diff(both[ms(20).size :])).max() < 0.002
    assert both[ms(301).size] == pytest.approx(0, abs=0.01)
    assert both[ms(287).size] == pytest.approx(0.25, abs=0.03)


def test_a_piece_keeps_soft_edges_and_fades_at_both() -> None:
    noise = ms(500, 0.001)
    sound = heard(np.concatenate((noise, ms(1000, 0.5), noise)))
    assert length_ms(sound) == pytest.approx(HEAD_MS + 1000 + TAIL_MS)
    assert abs(sound[0]) < 1e-5 > abs(sound[-1])
    assert sound[np.abs(sound) > 0.01] == pytest.approx(0.5)


def test_a_piece_that_begins_and_ends_loud_gets_fades_alone() -> None:
    sound = heard(ms(300, 0.5))
    assert length_ms(sound) == 300 + TAIL_MS
    assert abs(sound[0]) < 0.001 > abs(sound[int(RATE_HZ * 0.3) - 1])


def test_windows_of_a_piece_sound_as_the_whole_of_it() -> None:
    piece = np.concatenate((ms(400), ms(300, 0.05), ms(300, 0.5), ms(350, 0.001), ms(200, 0.3), ms(600)))
    parts = [*finish_piece(np.array_split(piece, 11), Edges(RATE_HZ, TAIL_MS))]
    assert np.concatenate(parts) == pytest.approx(heard(piece))
    assert [len(part) for part in parts[:3]] == [0, 0, 0]
    # What was heard is not held back: only a fade may come.
    assert length_ms(np.concatenate(parts[:7])) > 700


@each_row("loud", [0.0, 0.02])
def test_a_silent_or_soft_piece_gives_some_sound(loud: float) -> None:
    sound = heard(ms(500), ms(200, loud), ms(500))
    assert length_ms(sound) == pytest.approx(HEAD_MS + TAIL_MS + (200 if loud else 0))


def test_no_sound_stays_none() -> None:
    assert len(heard()) == len(heard(ms(0))) == 0
