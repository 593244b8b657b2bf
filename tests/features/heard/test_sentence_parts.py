"""Where the parts of a checked plan are cut, and what each piece costs."""

from msgspec.structs import replace

from proxy.features.heard.sentence_parts import MOST_PARTS, at_sentences
from proxy.speech.part import Part
from tests.features.heard.listeners import ANA, candidate

LONG = "This sentence is long enough to be heard alone. "


def cut(text: str, start: int = 0, *, joins: bool = False, pause_s: float = 0.5) -> list[Part]:
    speaker = candidate(joins_segments=joins)
    whole = Part(ANA, "en", (speaker,), start, len(text), 9.0, len(text), pause_s=pause_s)
    return [*at_sentences((whole,), text, 1.0)]


def texts(text: str, parts: list[Part]) -> list[str]:
    return [text[part.start : part.end] for part in parts]


def test_each_sentence_is_a_part_and_a_short_one_belongs_to_the_next() -> None:
    text = f"Oh. {LONG}No? {LONG}Yes."
    parts = cut(text)
    assert texts(text, parts) == [f"Oh. {LONG}", f"No? {LONG}Yes."]
    assert [part.pause_s for part in parts] == [0.26, 0.5], "the last one has the pause of the whole"


def test_signs_alone_are_no_part() -> None:
    text = f"{LONG}{'. ' * 60}\n\n{LONG}"
    assert "".join(texts(text, cut(text))) == text
    assert all(any(map(str.isalnum, piece)) for piece in texts(text, cut(text)))


def test_a_paragraph_has_a_longer_pause_and_is_one_part_of_a_model_that_joins_sentences() -> None:
    text = f"{LONG}{LONG}\n\n{LONG}"
    assert [part.pause_s for part in cut(text)] == [0.26, 0.66, 0.5]
    assert texts(text, cut(text, joins=True)) == [f"{LONG}{LONG}\n\n", LONG]


def test_the_name_before_a_part_is_charged_with_its_first_piece() -> None:
    text = f"[Ana] {LONG}{LONG}"
    parts = cut(text, start=len("[Ana] "))
    assert sum(part.characters for part in parts) == len(text)
    assert parts[0].characters == len("[Ana] ") + len(LONG)


def test_many_sentences_are_joined_and_none_is_lost() -> None:
    text = LONG * 300
    parts = cut(text)
    assert 60 < len(parts) <= MOST_PARTS
    assert "".join(texts(text, parts)) == text
    many = tuple(replace(each, end=each.start + 10) for each in parts) * 3
    assert len(at_sentences(many, text, 1.0)) == len(many), "turns are never joined"
