"""What of a text reaches hibari's reader, and how its sounds become pieces."""

import pytest

from plugins.hibari.reading import MOST_SOUNDS, pieces_of, readable
from speech_engine import UnsupportedText
from tests.tables import each_row

SYMBOLS = {" ": 1, ",": 2, "a": 3, "b": 4}


@each_row(
    ("text", "read"),
    [
        (
            "Kept as it is: Mr. Kay's 1,250 caf\u00e9s, 3.5 \u00b5m.",
            "Kept as it is: Mr. Kay's 1,250 caf\u00e9s, 3.5 \u00b5m.",
        ),
        ("[word](/sOndz/) here", " word (/sOndz/) here"),
        ("No address: e.g. this, 3.15, U.S.A. End.Next", "No address: e.g. this, 3.15, U.S.A. End.Next"),
        ("\u041f\u0440\u0438\u0432\u0435\u0442, \u65e5\u672c and you\x00\U0001f600", " ,   and you  "),
        ("1234567890123", "123456789012 3"),
        ("1,2,3,4,5,6,7", "1,2,3,4,5, 6,7"),
    ],
)
def test_a_text_is_written_as_the_reader_can_take_it(text: str, read: str) -> None:
    assert readable(text) == read


def test_long_sentences_are_cut_and_nothing_is_lost() -> None:
    words = [*("aab " * MOST_SOUNDS)]
    pieces = pieces_of([["a", "?"], words, [",", " "]], SYMBOLS)
    assert pieces[0].numbers == (0, 3, 0)
    assert max(piece.sounds for piece in pieces) <= MOST_SOUNDS
    spoken = sum(piece.numbers.count(3) + piece.numbers.count(4) for piece in pieces)
    assert spoken == 1 + 3 * MOST_SOUNDS
    assert [piece.ends for piece in pieces] == ["sentence", *["phrase"] * (len(pieces) - 2), "sentence"]


def test_a_text_without_sounds_is_refused() -> None:
    with pytest.raises(UnsupportedText):
        pieces_of([["?"], [","]], SYMBOLS)
