"""What counts as the same words: any text is itself, and a word less or a vowel sign less is another text."""

from hypothesis import assume, given
from hypothesis import strategies as st

from speech_engine.text.said import TranscriptJudge, words_of
from tests.tables import each_row

ENGLISH, THAI, PORTUGUESE = TranscriptJudge("en-GB"), TranscriptJudge("th"), TranscriptJudge("pt-BR")
FULL = TranscriptJudge("en", contractions=True)

SCRIPTS = st.one_of(
    st.text("abcdefgh ABC'-.,?! 0123456789%$é", max_size=60),
    st.text("สวัสดีครับ ๓0กิ่น้ำเ", max_size=40),
    st.text("नमस्ते दुनिया१", max_size=40),
    st.text("你好世界,。3", max_size=40),
    st.text("Olá, às coração ção ", max_size=40),
    st.text(max_size=40),
)
WORDS = st.lists(st.text("abcdefgสวดี", min_size=1, max_size=6), min_size=1, max_size=8)


@given(SCRIPTS)
def test_every_text_says_itself(text: str) -> None:
    for reader in (ENGLISH, FULL, THAI, PORTUGUESE):
        assert reader.says_all(text, text)
        assert reader.says_so_far(text, text)
        assert reader.says_so_far(text, "")


@given(WORDS, st.integers(0, 60))
def test_every_beginning_of_a_text_may_become_it(words: list[str], end: int) -> None:
    text = ", ".join(words)
    for reader in (ENGLISH, FULL, THAI):
        assert reader.says_so_far(text, text[:end])


@given(SCRIPTS)
def test_case_blanks_and_marks_change_nothing(text: str) -> None:
    assume("'" not in text)
    assert THAI.says_all(text, f" {text}! ")
    assert THAI.says_all(text.casefold(), text)


@given(WORDS, st.integers(0, 7))
def test_a_word_less_is_another_text(words: list[str], index: int) -> None:
    less = words[: index % len(words)] + words[index % len(words) + 1 :]
    for reader in (ENGLISH, FULL, THAI):
        assert not reader.says_all(" ".join(words), " ".join(less))
        assert not reader.says_all(" ".join(less), " ".join(words))


@given(WORDS)
def test_a_word_too_many_is_seen_at_once(words: list[str]) -> None:
    assert not ENGLISH.says_so_far(" ".join(words), f"Sure! {' '.join(words)}")
    assert not ENGLISH.says_so_far(" ".join(words), f"{' '.join(words)} indeed")


@given(st.integers(0, 999_999), st.integers(0, 999_999))
def test_two_numbers_never_sound_alike(one: int, other: int) -> None:
    assume(one != other)
    for reader in (ENGLISH, PORTUGUESE):
        assert not reader.says_all(f"It is {one}.", f"It is {other}.")


@each_row(
    ("text", "transcript"),
    [
        ("I have 25 apples.", "I have twenty-five apples"),
        ("I have twenty-five apples.", "I have 25 apples."),
        ("In 1984, 5% paid $5.", "in nineteen eighty four five percent paid five dollars"),
        ("1,000 men & 2 dogs", "One thousand men and two dogs."),
        ("105 days", "one hundred and five days"),
        ("3.5 km at -5°", "three point five km at minus five degrees"),
        ("the 21st of May", "The twenty-first of May"),
        ("5 p.m.", "5 pm"),
        ("It’s re\N{SOFT HYPHEN}entered", "it's re-entered"),
        ("1905", "nineteen oh five"),
        ("ten 5 20 25 dogs", "10 5 20 25 dogs"),
    ],
)
def test_english_numbers_and_signs_may_be_read_out(text: str, transcript: str) -> None:
    assert ENGLISH.says_all(text, transcript)
    for end in range(len(transcript)):
        assert ENGLISH.says_so_far(text, transcript[:end].rstrip("-'’")), transcript[:end]


@each_row(
    ("text", "transcript"),
    [
        ("1 2", "12"),
        ("12", "1 2"),
        ("3.5", "35"),
        ("3.5", "3 5"),
        ("5²", "52"),
        ("1½", "11 2"),
        ("-5 degrees", "5 degrees"),
        ("5%", "5"),
        ("$5", "5"),
        ("We're here", "were here"),
        ("I am here", "I'm here"),
        ("Is it so?", "It is so."),
        ("007", "7"),
        ("555-1234", "five hundred fifty-five one thousand two hundred thirty-four hundred"),
    ],
)
def test_what_sounds_otherwise_is_otherwise(text: str, transcript: str) -> None:
    assert not ENGLISH.says_all(text, transcript)


def test_vowel_signs_are_words() -> None:
    assert not THAI.says_all("สวัสดี", "สวสด")
    assert not THAI.says_so_far("สวัสดี", "สวส")
    assert not TranscriptJudge("hi").says_all("नमस्ते", "नमसत")
    assert THAI.says_all("สวัสดี ครับ", "สวัสดีครับ")
    assert THAI.says_all("๓ ปี", "3 ปี")


def test_numbers_are_read_out_only_where_that_is_certain() -> None:
    assert not PORTUGUESE.says_all("Tenho 2 casas.", "Tenho duas casas.")
    assert not THAI.says_all("3 ปี", "สามปี")


@each_row("pair", [("I'm", "I am"), ("don't", "do not"), ("can't", "cannot"), ("it's", "it has")])
def test_contractions_are_the_same_only_if_somebody_said_so(pair: tuple[str, str]) -> None:
    for one, other in (pair, pair[::-1]):
        assert FULL.says_all(f"Well, {one} here", f"Well, {other} here")
        assert not ENGLISH.says_all(f"Well, {one} here", f"Well, {other} here")


def test_no_repr_shows_a_word() -> None:
    assert "secret" not in f"{words_of('secret')!r} {ENGLISH!r}"
