"""The tables of what a Thai reader says, case by case."""

from plugins.pythainlp.plugin import ThaiFrontEnd
from tests.plugins.pythainlp import cases_amounts, cases_dates, cases_numbers, cases_sentences, cases_words
from tests.tables import each_row

FRONT_END = ThaiFrontEnd()
READ = [*cases_numbers.CASES, *cases_dates.CASES, *cases_amounts.CASES, *cases_words.CASES]


def spoken(text: str) -> list[str]:
    return [segment.spoken for segment in FRONT_END.prepare(text, "th", {})]


@each_row(("text", "expected"), READ)
def test_a_case_is_read_as_a_thai_reader_would(text: str, expected: str) -> None:
    assert spoken(text) == [expected]


def test_a_case_is_read_the_same_within_a_text() -> None:
    """No rule hangs on where a text begins or ends, and none looks over the end of a line."""
    within = {text: spoken(f"สวัสดีครับ\n{text}\nลาก่อน") for text, _ in READ}
    assert within == {text: ["สวัสดีครับ", expected, "ลาก่อน"] for text, expected in READ}


@each_row(("text", "expected"), cases_sentences.CASES)
def test_a_text_breathes_where_a_thai_reader_would(text: str, expected: list[str]) -> None:
    assert spoken(text) == expected


def test_every_case_stands_in_the_tables_once() -> None:
    texts = [text for text, _ in READ]
    assert len(texts) == len(set(texts)) > 100
