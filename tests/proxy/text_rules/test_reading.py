"""What is read of any text is a part of it, in its order, each character with its place."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from policies.reading import Reading
from proxy.text_rules.markdown import may_have_marks, read_markdown
from speech_engine.text.cleaning import is_speech

SIGNS = st.sampled_from(
    [
        *("a", "b ", "*", "**", "__", "`", "``", "[", "]", "(x)", "](u.v)", "![", "\n", "\n\n", "\r\n", "\0"),
        *("> ", "- ", "1. ", "# ", "#", "\\", "&amp;", "&lt", "<b>", "<http://a.b/c>", " ", "  \n", "\t"),
        *("```\n", "===\n", "é", "漢", "ไทย", "'", '"', "    ", "https://a.b/c", "www.a.b", "[r]: u\n", "_"),
    ]
)
TEXTS = st.lists(SIGNS, max_size=30).map("".join) | st.text(max_size=60)


@given(TEXTS)
def test_nothing_is_put_in_and_each_character_has_its_place(text: str) -> None:
    reading = read_markdown(text)
    if reading is None:
        return
    assert len(reading.text) == len(reading.places) < len(text)
    assert all(before < after for before, after in pairwise(reading.places))
    assert is_speech(reading.text)
    assert reading.text == "".join(text[place] for place in reading.places)


@given(TEXTS, st.data())
def test_the_parts_of_a_reading_make_the_whole(text: str, data: st.DataObject) -> None:
    reading = read_markdown(text) or Reading(text, tuple(range(len(text))))
    cut = data.draw(st.integers(0, len(text)))
    first, second = reading.part(0, cut), reading.part(cut, len(text))
    assert first.text + second.text == reading.text
    assert (*first.places, *second.places) == reading.places
    assert all(place < cut for place in first.places)
    assert all(place >= cut for place in second.places)


@given(TEXTS)
def test_the_quick_look_misses_no_mark(text: str) -> None:
    if read_markdown(text) is not None:
        assert may_have_marks(text)
