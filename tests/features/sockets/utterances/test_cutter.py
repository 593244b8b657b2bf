"""Where text that is still being written is cut: at whole sentences, once they are surely whole."""

import re

from hypothesis import given
from hypothesis import strategies as st

from proxy.features.sockets.utterances.cutter import QUIET_S, Cut, Cutter
from speech_engine.text.dialogue import dialogue_ends
from tests.features.sockets.utterances.texts import TEXTS
from tests.tables import each_row

# Behind a full stop of theirs, brackets begin a sentence of their own here, and end it.
EXCEPTIONS = {
    "東京に住んでいます。（とても広いです。）また今度。": [
        "東京に住んでいます。",
        "（とても広いです。）",
        "また今度。",
    ],
    "我住在北京。（那里很大。）下次见。": ["我住在北京。", "（那里很大。）", "下次见。"],
    # A quotation that is not closed may go on, so it is cut by the front-end alone.
    "He said “It is late. Go home.” Then he left. Nobody followed.": [
        "He said “It is late. Go home.”",
        "Then he left.",
        "Nobody followed.",
    ],
}


def fed(text: str, language: str = "en", step: int = 1, *, skips_code: bool = False) -> list[Cut]:
    """Return the sentences of a text that comes in steps, each taken as soon as it is closed."""
    cutter, found = Cutter(language=language, skips_code=skips_code), list[Cut]()
    for at in range(0, len(text), step):
        cutter.receive_text(text[at : at + step], 0.0)
        while (cut := cutter.next_cut(0.0, is_first=True)) is not None:
            found.append(cut)
    cutter.end_text()
    while (cut := cutter.next_cut(0.0, is_first=True)) is not None:
        found.append(cut)
    return found


@each_row("language", list(TEXTS))
def test_fed_by_letters_a_text_has_the_sentences_of_the_whole_text(language: str) -> None:
    assert len(TEXTS) == 10
    assert len(TEXTS[language]) == 6
    for text in TEXTS[language]:
        ends = dialogue_ends(text, language)
        whole = [text[begin:end].strip() for begin, end in zip([0, *ends], ends, strict=False)]
        cuts = fed(text, language)
        assert [cut.text.strip() for cut in cuts] == EXCEPTIONS.get(text, whole)
        assert "".join(cut.text for cut in cuts) == text


def test_a_sentence_is_closed_when_a_further_word_is_whole() -> None:
    cutter = Cutter(language="en")
    cutter.receive_text("It is late. No", 0.0)
    assert cutter.next_cut(9.0, is_first=True) is None
    cutter.receive_text("w ", 9.0)
    assert cutter.next_cut(9.0, is_first=True) == (0, "It is late. ")
    assert cutter.next_cut(9.0, is_first=True) is None
    cutter.close_text()
    assert cutter.next_cut(9.0) == (12, "Now ")


@each_row("text", ["你好。", "क्या?", "नमस्ते।", "本当？", "ま！"])
def test_where_no_blank_comes_an_end_mark_closes_at_once(text: str) -> None:
    cutter = Cutter()
    cutter.receive_text(text, 0.0)
    closed = cutter.next_cut(0.0, is_first=True)
    assert closed == (None if text.endswith("?") else (0, text))


def test_a_writer_that_rests_behind_an_end_mark_has_closed_its_sentence() -> None:
    cutter = Cutter(language="en")
    cutter.receive_text("Let me look. I will", 1.0)
    assert cutter.wakes_at(1.0) is None, "its writer waits for a tool in the middle of a sentence"
    cutter.receive_text(" call.”", 2.0)
    assert cutter.wakes_at(2.0) == 2.0 + QUIET_S
    assert cutter.next_cut(2.0, is_first=True) == (0, "Let me look. ")
    assert cutter.next_cut(2.4) is None
    assert cutter.wakes_at(2.4) == 2.5
    assert cutter.next_cut(2.5) == (13, "I will call.”")
    assert cutter.wakes_at(2.5) is None


@each_row(
    "text",
    [
        "Wait [pause 1. 5s] here now. ",
        "Say <break time='1. 5s'/> this now. ",
        "**It is. It was.** So be it now. ",
        "*It is. It was.* So be it now. ",
        "See [a. b](http://example.com/a. b) for it now. ",
        "Run `a. B. c` and see it now. ",
    ],
)
def test_no_cut_is_inside_of_brackets_or_marks(text: str) -> None:
    (first, *_) = fed(text + "And then more. ")
    assert first.text == text


def test_a_long_sentence_is_cut_at_a_clause_or_else_a_blank() -> None:
    clauses = "one two three four, " * 40
    assert {cut.text[-2:] for cut in fed(clauses)} == {", "}
    assert max(len(cut.text) for cut in fed(clauses)) <= 300
    blanks = "word " * 200
    assert [len(cut.text) for cut in fed(blanks)] == [300, 300, 300, 100]
    assert [len(cut.text) for cut in fed(blanks, step=10_000)] == [300, 300, 300, 100]
    assert [len(cut.text) for cut in fed("ก" * 1234, "th")] == [500, 500, 234]
    inside = "a " * 140 + "[" + "b " * 150 + "] c."
    assert [cut.text for cut in fed(inside)] == [inside[:280], inside[280:-2], "c."]


def test_a_later_piece_takes_all_that_is_closed() -> None:
    cutter = Cutter(language="en")
    sentence = "This one has forty characters in total. "
    cutter.receive_text(sentence * 60, 0.0)
    assert cutter.next_cut(0.0, is_first=True) == (0, sentence)
    assert cutter.next_cut(0.0) == (40, sentence * 25)
    assert cutter.next_cut(0.0, 300) == (1040, sentence * 7)


def test_a_text_in_one_piece_waits_for_its_end() -> None:
    cutter = Cutter(splits=False)
    cutter.receive_text("One. Two. Three is here. ", 0.0)
    cutter.close_text()
    assert cutter.next_cut(9.0) is None
    cutter.end_text()
    assert cutter.next_cut(9.0, is_first=True) == (0, "One. Two. Three is here. ")


def test_an_emotion_behind_the_last_word_is_for_the_next_piece() -> None:
    cutter = Cutter(language="en")
    cutter.receive_text("It is late. [sad] ", 0.0)
    cutter.close_text()
    assert cutter.next_cut(0.0) == (0, "It is late. ")
    cutter.receive_text("Farewell.", 0.0)
    cutter.end_text()
    assert cutter.next_cut(0.0) == (12, "[sad] Farewell.")


@each_row("text", ["", "   ", "… ! ?", "[happy]", "\n\n", "。。。"])
def test_a_text_with_nothing_to_say_has_no_piece(text: str) -> None:
    cutter = Cutter()
    cutter.receive_text(text, 0.0)
    cutter.end_text()
    assert cutter.next_cut(0.0, is_first=True) is None
    assert not cutter.has_more


CODE = f"```python\n{'print(1). Then this. ' * 3}\n" + "x = [1]\n" * 400 + "```\n"


@each_row("step", [1, 7, 5000])
def test_a_block_of_code_is_in_no_piece(step: int) -> None:
    text = f"Here it is:\n{CODE}Now run it. Or this one:\n\n> {CODE[:-4]}> ```\n{CODE}That is all.\n{CODE}"
    cuts = fed(text, step=step, skips_code=True)
    assert [cut.text.strip() for cut in cuts] == [
        "Here it is:",
        "Now run it.",
        "Or this one:",
        "That is all.",
    ]
    assert all(text[cut.start :].startswith(cut.text) for cut in cuts)
    assert fed(CODE, step=step, skips_code=True) == []
    assert "".join(cut.text for cut in fed(text, step=5000)) == text


def test_an_open_block_waits_for_its_end_and_is_text_without_one() -> None:
    cutter = Cutter(language="en", skips_code=True)
    cutter.receive_text("So:\n```\nx = 1. Then ", 0.0)
    cutter.close_text()
    assert cutter.next_cut(9.0) == (0, "So:\n")
    assert cutter.next_cut(9.0) is None
    cutter.receive_text("y. ", 9.0)
    assert cutter.next_cut(99.0) is None
    cutter.end_text()
    assert cutter.next_cut(99.0) == (4, "```\nx = 1. Then y. ")


_ALPHABET = st.sampled_from(
    ["a", "B", " ", ". ", "[", "]", "<b", ">", "**", "`", "。", "「", "」", "\n", "7", ", "]
)


@given(st.lists(_ALPHABET, max_size=400).map("".join), st.integers(1, 60), st.integers(1, 1000))
def test_pieces_are_the_text_in_its_order(text: str, step: int, most: int) -> None:
    cutter, end = Cutter(language="en"), 0
    for at in range(0, len(text), step):
        cutter.receive_text(text[at : at + step], float(at))
        if (cut := cutter.next_cut(float(at), most, is_first=at == 0)) is not None:
            assert text[cut.start :].startswith(cut.text)
            assert end <= cut.start
            assert not re.search(r"\w", text[end : cut.start])
            assert len(cut.text) <= max(most, 500)
            end = cut.start + len(cut.text)
    cutter.end_text()
    while (cut := cutter.next_cut(1e9, most)) is not None:
        assert not re.search(r"\w", text[end : cut.start])
        end = cut.start + len(cut.text)
    assert not re.search(r"\w", text[end:])


def test_a_sentence_of_ssml_ends_behind_the_element_that_it_fills() -> None:
    cutter = Cutter(language="en", is_ssml=True)
    sent = "<p>Four five.</p> <p><s>Six.</s></p> Seven eight."
    first, *later = sent.split(" ")
    said = []
    for word in (first, *(f" {word}" for word in later)):
        cutter.receive_text(word, 0.0)
        if (cut := cutter.next_cut(0.0, 1, is_first=True)) is not None:
            said.append(cut.text)
    cutter.end_text()
    while (cut := cutter.next_cut(0.0, 1, is_first=True)) is not None:
        said.append(cut.text)
    assert said == ["<p>Four five.</p> ", "<p><s>Six.</s></p> ", "Seven eight."]


def test_a_long_word_is_not_cut_while_more_of_it_may_come() -> None:
    cutter = Cutter(language="en")
    cutter.receive_text("a" * 400, 0.0)
    assert cutter.next_cut(0.0, is_first=True) is None
    cutter.receive_text("a" * 50 + " and more", 0.0)
    assert cutter.next_cut(0.0, is_first=True) == (0, "a" * 450 + " ")
