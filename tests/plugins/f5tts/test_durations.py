"""How long texts take: by characters and script, at the pace of a recording in the same script or another."""

import pytest

from plugins.f5tts.durations import FASTEST, LEAST_S, SLOWEST, pace_of, spoken_s, usual_s
from tests.tables import each_row

SYLLABLES_A_SECOND = {"pt": 6.2, "th": 4.7}
"""As measured over many speakers who read aloud."""

TEXTS = {
    "pt": (
        ("Bom dia a todos, hoje vamos falar sobre o tempo e a chuva da semana.", 24),
        ("A reunião foi marcada para quinta-feira às nove horas da manhã.", 24),
        ("Obrigado por ligar, em que posso ajudar?", 15),
        ("Ela mora perto da praia com os dois filhos e um cachorro.", 20),
    ),
    "th": (
        ("สวัสดีครับ วันนี้เราจะมาพูดคุยกันเรื่องสภาพอากาศของสัปดาห์นี้", 21),
        ("การประชุมถูกเลื่อนไปเป็นวันพฤหัสบดีเวลาเก้าโมงเช้า", 18),
        ("ขอบคุณที่โทรมา มีอะไรให้ช่วยไหมคะ", 12),
        ("ราคากาแฟเพิ่มขึ้นมากแต่ยอดขายยังดีอยู่", 14),
    ),
}
"""Sentences with their syllables."""

PAIRS = [(one, other) for one in TEXTS for other in TEXTS]
NEAR = 0.25


def true_s(language: str, syllables: int) -> float:
    return syllables / SYLLABLES_A_SECOND[language]


@each_row(("recorded", "spoken"), PAIRS)
@each_row("slowness", [0.8, 1.0, 1.3])
def test_a_text_gets_the_time_that_the_speaker_of_the_recording_would_need(
    recorded: str, spoken: str, slowness: float
) -> None:
    for words, of_words in TEXTS[recorded]:
        pace = pace_of(true_s(recorded, of_words) * slowness, words)
        for text, syllables in TEXTS[spoken]:
            wanted = true_s(spoken, syllables) * slowness
            assert spoken_s(text, pace) == pytest.approx(wanted, rel=NEAR), (words, text)


def test_by_bytes_a_thai_text_after_a_portuguese_recording_would_get_more_than_twice_its_time() -> None:
    (words, of_words), (text, syllables) = TEXTS["pt"][0], TEXTS["th"][0]
    by_bytes = true_s("pt", of_words) / len(words.encode()) * len(text.encode())
    assert by_bytes > 2 * true_s("th", syllables)


def test_one_word_has_room_and_numbers_and_pauses_count() -> None:
    assert spoken_s("Oi", 1.0) == LEAST_S
    assert usual_s("42") > usual_s("ab")
    assert usual_s("a, b") > usual_s("a b")
    assert usual_s("e\u0301") == usual_s("\u00e9")


@pytest.mark.parametrize(("seconds", "pace"), [(0.1, FASTEST), (500.0, SLOWEST)])
def test_words_that_are_not_those_of_the_recording_do_not_make_an_absurd_pace(
    seconds: float, pace: float
) -> None:
    assert pace_of(seconds, TEXTS["pt"][0][0]) == pace
    assert pace_of(3.0, "") == 1.0
