"""Whether what was heard is the wanted text: right ones, faults, and what the sound says besides."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from speech_engine.text.comparing import (
    Evidence,
    ScoredWord,
    WordRun,
    compare,
    count_surplus_words,
    distance,
    sounds_of,
    texts_to_sound,
)
from speech_engine.text.english_readings import times_written
from speech_engine.text.said import with_times_of
from tests.tables import each_row

SAID = {
    "call shivonne now": "kˈɔːl ʃɪvˈɔːn nˈaʊ",
    "call siobhan now": "kˈɔːl ʃɪvˈɔːn nˈaʊ",
    "ask xiomara": "ˈæsk zˌiːəmˈɑːɹə",
    "ask ziamara": "ˈæsk zˌiːɐmˈæɹə",
    "xiomara": "zˌiːəmˈɑːɹə",
    "ziamara": "zˌiːɐmˈæɹə",
    "a ziamara": "ɐ zˌiːɐmˈæɹə",
    "a": "ɐ",
    "peter": "pˈiːɾɚ",
    "seventeen": "sˌɛvəntˈiːn",
    "seventy": "sˈɛvənti",
}
WORDS = st.lists(st.text("bdfgklmr", min_size=2, max_size=6), min_size=1, max_size=9)


def sounds(text: str) -> str:
    """Unlike for all texts but those of the table, so that no test depends on what it leaves out."""
    return SAID.get(text, f"<{text}>")


def scored(text: str, likely: float = 0.9, rare: Sequence[str] = (), each_s: float = 0.5) -> list[ScoredWord]:
    return [
        ScoredWord(word, at * each_s, likely, 2 if word.strip(".,") in rare else 1)
        for at, word in enumerate(text.split())
    ]


@each_row(
    ("text", "heard", "language"),
    [
        ("The boat sailed on, slowly.", "the boat sailed on slowly", "en"),
        ("She paid twenty-five dollars.", "She paid $25.", "en"),
        ("I have nineteen eighty-four books.", "I have 1984 books", "en-GB"),
        ("Call us at five past four.", "Call us at 5 past 4.", "en"),
        ("We're late and can't stay.", "We are late and cannot stay.", "en"),
        ("Her favourite colour, she realised, travelled.", "Her favorite color she realized traveled", "en"),
        ("The theatre's catalogue", "The theatre's catalog", "en"),
        ("Re-enter your user name.", "Reenter your username", "en"),
        ("Le cœur a ses raisons.", "Le cœur a ses raisons", "fr"),
        ("El niño juega.", "el niño juega", "es"),
        ("สวัสดี ครับ", "สวัสดีครับ", "th"),
    ],
)
def test_the_same_words_are_right(text: str, heard: str, language: str) -> None:
    assert compare(text, heard, language) == ("right", (), 1.0)


@each_row(
    ("heard", "verdict", "share", "words_too_many"),
    [
        ("The doctor told him to water", "wrong", 0.75, 0),
        ("The doctor told him to drink more more water", "wrong", 1.0, 1),
        ("The doctor told him to think more water", "unsure", 0.875, 0),
        ("The doctor told him not to drink more water", "wrong", 1.0, 1),
        ("The doctor told him to drink", "wrong", 0.75, 0),
        ("Seven soldiers walked", "unsure", 0.0, 0),
        ("", "wrong", 0.0, 0),
    ],
)
def test_a_fault_is_never_right(heard: str, verdict: str, share: float, words_too_many: int) -> None:
    text = "The doctor told him to drink more water."
    found = compare(text, heard, "en")
    assert (found.verdict, found.share, count_surplus_words(found.runs)) == (verdict, share, words_too_many)
    # What the recogniser believes makes no fault right, nor do sounds that differ.
    assert compare(text, heard, "en", Evidence(sounds, scored(text, likely=1.0))).verdict != "right"
    assert compare(text, heard, "en", Evidence(sounds, scored(text, likely=0.1))).verdict == "wrong"


@each_row(
    ("text", "heard", "rare", "likely", "verdict"),
    [
        ("Call Siobhan now", "call shivonne now", (), 0.1, "right"),
        ("Ask Xiomara", "ask ziamara", ("Xiomara",), 0.1, "right"),
        ("Ask xiomara", "ask ziamara", (), 0.1, "wrong"),
        ("Ask Xiomara", "ask ziamara", (), 0.1, "unsure"),
        ("Ask. Xiomara", "ask ziamara", (), 0.1, "wrong"),
        ("Xiomara, ask", "ziamara ask", (), 0.1, "wrong"),
        ("May I", "may a", (), 0.1, "wrong"),
        ("Ask Xiomara", "ask ziamara", (), 0.4, "unsure"),
        ("Ask Xiomara", "ask a ziamara", ("Xiomara",), 0.9, "unsure"),
        ("Ask Xiomara", "ask peter", ("Xiomara",), 0.9, "unsure"),
        ("Ask Xiomara", "ask", ("Xiomara",), 0.1, "wrong"),
        ("Of seventeen", "of seventy", ("seventeen",), 0.1, "wrong"),
    ],
)
def test_a_rare_word_may_be_heard_by_its_sounds(
    text: str, heard: str, rare: tuple[str, ...], likely: float, verdict: str
) -> None:
    evidence = Evidence(sounds, scored(text, likely, rare))
    assert compare(text, heard, "en", evidence).verdict == verdict
    asked = texts_to_sound(lambda ask: compare(text, heard, "en", evidence._replace(sounds=ask)))
    assert compare(text, heard, "en", evidence._replace(sounds={t: sounds(t) for t in asked}.__getitem__))


def test_outside_english_only_names_are_rare() -> None:
    for text, verdict in (("ask Xiomara", "right"), ("ask xiomara", "wrong")):
        evidence = Evidence(sounds, scored(text, 0.1, ("Xiomara", "xiomara")))
        assert compare(text, "ask ziamara", "es", evidence).verdict == verdict
    accented = Evidence(sounds, scored("ask Íñigo", 0.1, ("Íñigo",)))
    assert compare("ask Íñigo", "ask bolumar", "es", accented).verdict == "unsure"


@each_row(
    ("silences", "length", "verdict"),
    [
        ((), 1.0, "right"),
        (((1.1, 1.35),), 1.0, "right"),  # too short
        (((0.62, 0.98),), 1.0, "right"),  # at the comma
        (((1.1, 1.45),), 1.0, "unsure"),
        (((2.1, 2.5),), 1.0, "unsure"),  # in the last word
        ((), 0.85, "unsure"),
        ((), 1.2, "unsure"),
        ((), float("nan"), "unsure"),
    ],
)
def test_a_hole_or_an_odd_length_makes_right_words_unsure(
    silences: tuple[tuple[float, float], ...], length: float, verdict: str
) -> None:
    text = "Well then, we leave now."
    assert compare(text, text, "en", Evidence(sounds, scored(text), silences, length)).verdict == verdict


@given(st.text(max_size=60), st.sampled_from(("en", "es", "hi", "th", "")))
def test_every_text_says_itself(text: str, language: str) -> None:
    assert compare(text, text, language, Evidence(sounds, scored(text))).verdict == "right"


@given(WORDS, st.integers(0, 8), WORDS, st.floats(0, 1))
def test_a_word_dropped_doubled_or_added_is_never_right(
    words: list[str], at: int, more: list[str], likely: float
) -> None:
    text, at = " ".join(words), at % len(words)
    for instead in ([], [words[at]] * 2, [words[at], more[0]]):
        heard = " ".join([*words[:at], *instead, *words[at + 1 :]])
        for rare in ([], words):
            found = compare(text, heard, "en", Evidence(sounds, scored(text, likely, rare)))
            assert "right" not in (found.verdict, compare(text, heard, "en").verdict)
            assert 0 <= found.share <= 1


def test_long_texts_that_differ_are_compared_at_once() -> None:
    found = compare("one two " * 200, "one three " * 200, "en")
    assert found == ("unsure", found.runs, 0.0)


@each_row(
    ("heard", "written"),
    [
        ("at 4.05 am", "at 4:05 am"),
        ("at 405am.", "at 4:05am."),
        ("12:30 P.M. now", "12:30 P.M. now"),
        ("at 6.15 in the morning", "at 6:15 in the morning"),
        ("from 11.30 to 2.15 PM", "from 11:30 to 2:15 PM"),
        ("1905 pm", "1905 pm"),
        ("6.15 in the box", "6.15 in the box"),
        ("4.75 amps", "4.75 amps"),
    ],
)
def test_times_of_a_recogniser_are_written_as_people_do(heard: str, written: str) -> None:
    assert times_written(heard).casefold() == written.casefold()


@each_row(
    ("text", "heard", "written"),
    [
        ("It leaves at 3:10.", "It leaves at 310.", "It leaves at 3:10."),
        ("It leaves at 03:10, not at 14:05.", "at 3.10, not at 1405", "at 03:10, not at 14:05"),
        ("Sale a las 11:40.", "Sale a las 1140.", "Sale a las 11:40."),
        ("It leaves at 3:10.", "at 3-10, not 3-11", "at 3:10, not 3-11"),
        ("It leaves at 3:10.", "It leaves at 311.", "It leaves at 311."),
        ("It leaves at 3:10.", "It leaves at 3.10.2 or 13105.", "It leaves at 3.10.2 or 13105."),
        ("It costs 310.", "It costs 310.", "It costs 310."),
        ("At 10:20:30.", "At 10:20:30.", "At 10:20:30."),
    ],
)
def test_times_of_the_text_are_written_as_there(text: str, heard: str, written: str) -> None:
    assert with_times_of(text, heard) == written


def test_a_distance_is_a_part_of_the_wanted_sounds() -> None:
    assert sounds_of(("a", "peter"), lambda text: f"{text}: pˈiː ɾɚ") == "apeter:piːɾɚ"
    assert sounds_of(("a" * 201,), sounds) == sounds_of((), sounds) == ""
    assert distance("abcd", "abxd") == 0.25
    assert distance("abcd", "") == distance("", "abcd") == 1


def test_no_repr_shows_a_word() -> None:
    run = WordRun(0, ("secret",), ("secret",), "wrong")
    assert "secret" not in f"{run!r} {ScoredWord('secret', 0.0, 1.0, 1)!r}"
