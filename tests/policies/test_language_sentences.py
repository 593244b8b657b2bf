"""Each sentence of a text in its language: from its script, a detector, or the sentence before."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from policies import language
from policies.language import Detect
from tests.tables import each_row

_MARKS = re.compile(r"[.!?。]\s*")
_WORDS = {
    "de": {"der", "ist", "nicht", "wir", "und"},
    "en": {"the", "is", "are", "how", "welcome", "my"},
    "pt": {"o", "não", "você", "estamos", "uma"},
    "uk": {"що", "це", "добрий"},
}


def detect(text: str, _usual: str) -> tuple[str, ...]:
    """Knows a few words of some languages; unsure without any."""
    words = set(re.findall(r"\w+", text.lower()))
    found = max(_WORDS, key=lambda tag: len(_WORDS[tag] & words))
    return (found,) if _WORDS[found] & words else ()


def spoken(
    text: str, whole: str, detect: Detect | None = detect, default: str = "en"
) -> list[tuple[str, str]]:
    """The pieces in words, each with its language; sentences end at their marks."""
    ends = [mark.end() for mark in _MARKS.finditer(text)]
    pieces = language.sentence_languages(text, ends, whole, detect, default)
    return [(text[piece.start : piece.end].strip(), piece.tag) for piece in pieces]


def test_each_sentence_has_its_language() -> None:
    text = "The shop is open. Der Laden ist nicht offen. สวัสดีครับ! How are you today?"
    assert spoken(text, "en") == [
        ("The shop is open.", "en"),
        ("Der Laden ist nicht offen.", "de"),
        ("สวัสดีครับ!", "th"),
        ("How are you today?", "en"),
    ]


def test_a_sentence_that_is_too_short_or_unsure_is_spoken_as_the_one_before() -> None:
    text = "Xyz abc. Wir sind nicht da. The Who. Lorem ipsum dolor sit. The door is open."
    assert [tag for _, tag in spoken(text, "pt")] == ["pt", "de", "de", "de", "en"]


def test_sentences_in_the_language_of_the_whole_keep_its_region() -> None:
    text = "Você não vem hoje. The door is open. Estamos em uma casa."
    assert [tag for _, tag in spoken(text, "pt-BR")] == ["pt-BR", "en", "pt-BR"]


def test_a_short_latin_sentence_in_another_script_has_the_default_with_its_region() -> None:
    assert [tag for _, tag in spoken("OK! สวัสดีครับ! Bye.", "th", default="pt-BR")] == ["pt-BR", "th", "pt-BR"]
    assert [tag for _, tag in spoken("Você não vem hoje. สวัสดีครับ!", "th", default="pt-BR")] == ["pt-BR", "th"]


def test_without_a_detector_scripts_alone_change_the_language() -> None:
    text = "The door is open. สวัสดีครับ! Good morning to all."
    assert [tag for _, tag in spoken(text, "en", None)] == ["en", "th", "en"]


@each_row(
    ("text", "whole", "tags"),
    [
        ("Good morning! สวัสดีครับ! Thank you. ขอบคุณครับ! ", "th", ["en", "th", "en", "th"]),
        ("Wir sind nicht da. สวัสดีครับ! Danke. ", "th", ["de", "th", "de"]),
        ("Це добрий вечір. Thank you. Так. ", "uk", ["uk", "en", "uk"]),
        ("今日は暑いです。OK. 了解。", "ja", ["ja", "en", "ja"]),
        # Numbers and signs have no letters of their own.
        ("The door is open. สวัสดีครับ! 1234. 5! Bye. ", "en", ["en", "th", "th", "th", "en"]),
        ("Добро вече. Hvala. ", "sr", ["sr", "sr"]),
    ],
)
def test_a_short_sentence_in_latin_letters_is_never_spoken_as_another_script(
    text: str, whole: str, tags: list[str]
) -> None:
    assert [tag for _, tag in spoken(text, whole)] == tags


def test_a_script_that_languages_share_leaves_a_text_in_its_language() -> None:
    assert [tag for _, tag in spoken("Добрий вечір усім вам. Так.", "uk", None)] == ["uk", "uk"]
    assert [tag for _, tag in spoken("Це добрий вечір. Так.", "ru")] == ["uk", "uk"]
    assert [tag for _, tag in spoken("今日は暑いです。了解。", "ja")] == ["ja", "ja"]
    assert [tag for _, tag in spoken("Here is the news. 早上好。", "en")] == ["en", "zh"]


def test_a_sentence_that_is_surely_in_another_language_of_the_script_is_spoken_so() -> None:
    assert [
        tag for _, tag in spoken("Це добрий вечір. Он не знает.", "uk", lambda _text, _usual: ("ru",))
    ] == [
        "ru",
        "ru",
    ]


@each_row(
    ("text", "pieces"),
    [
        (
            "สวัสดีครับ ยินดีต้อนรับสู่กรุงเทพ Welcome to Bangkok my friends",
            [("สวัสดีครับ ยินดีต้อนรับสู่กรุงเทพ", "th"), ("Welcome to Bangkok my friends", "en")],
        ),
        (
            "Welcome to Bangkok my friends สวัสดีครับ ยินดีต้อนรับสู่กรุงเทพ how are you",
            [
                ("Welcome to Bangkok my friends", "en"),
                ("สวัสดีครับ ยินดีต้อนรับสู่กรุงเทพ", "th"),
                ("how are you", "en"),
            ],
        ),
        (
            'ยินดีต้อนรับสู่กรุงเทพ "welcome to the city" ครับผม',
            [("ยินดีต้อนรับสู่กรุงเทพ", "th"), ('"welcome to the city" ครับผม', "en")],
        ),
        (
            "我们明天早上要去机场 and then we fly to Paris",
            [("我们明天早上要去机场", "zh"), ("and then we fly to Paris", "en")],
        ),
        (
            "我々は明日の朝早く空港に行きます and then we fly home",
            [("我々は明日の朝早く空港に行きます", "ja"), ("and then we fly home", "en")],
        ),
        (
            "Это наш новый дом, and this is my garden",
            [("Это наш новый дом,", "ru"), ("and this is my garden", "en")],
        ),
        (
            "ยินดีต้อนรับสู่กรุงเทพwelcome to the city",
            [("ยินดีต้อนรับสู่กรุงเทพ", "th"), ("welcome to the city", "en")],
        ),
    ],
)
def test_a_phrase_in_another_script_is_cut_out(text: str, pieces: list[tuple[str, str]]) -> None:
    assert spoken(text, pieces[0][1]) == pieces


@each_row(
    ("text", "tag"),
    [
        ("ขอ iPhone 15 Pro Max หนึ่งเครื่องครับ", "th"),
        ("เมื่อวานฉันดูหนังเรื่อง The Lord of the Rings กับเพื่อน", "th"),
        ("คำว่า 'hello' แปลว่าสวัสดีในภาษาไทย", "th"),
        ("The word สวัสดี is how the people of Thailand greet one another", "en"),
        ("We are now in 北京大学 with all of our friends", "en"),
        ("The Greek letter α is not the same as the Latin one", "en"),
        ("今日は Microsoft Office Professional を使います", "ja"),
    ],
)
def test_a_name_or_a_quoted_word_is_not(text: str, tag: str) -> None:
    assert spoken(text, tag) == [(text, tag)]


def test_a_phrase_that_the_detector_does_not_know_is_not_spoken_as_the_other_script() -> None:
    thai = "ยินดีต้อนรับสู่กรุงเทพ"
    assert [tag for _, tag in spoken(f"{thai} lorem ipsum dolor", "th")] == ["th", "en"]
    assert [tag for _, tag in spoken(f"{thai} lorem ipsum dolor", "th", None, "pt")] == ["th", "pt"]
    text = f"Wir sind nicht da. {thai} lorem ipsum dolor"
    assert [tag for _, tag in spoken(text, "th")] == ["de", "th", "de"]


TEXTS = st.lists(
    st.sampled_from(
        (
            "Welcome to the city ",
            "สวัสดีครับ ",
            "ยินดีต้อนรับสู่กรุงเทพ",
            "我们明天早上要去机场",
            "Привет всем вам ",
            "'x' ",
        )
    )
    | st.text(max_size=5),
    max_size=12,
).map("".join)


@given(TEXTS, st.lists(st.integers(0, 200), max_size=8), st.sampled_from(("en", "th", "pt-BR", "uk")))
def test_the_pieces_tile_the_text_and_keep_the_ends(text: str, places: list[int], whole: str) -> None:
    ends = {place for place in places if place <= len(text)}
    pieces = language.sentence_languages(text, ends, whole, detect)
    assert "".join(text[piece.start : piece.end] for piece in pieces) == text
    assert all(piece.start < piece.end for piece in pieces)
    assert all(left.end == right.start for left, right in pairwise(pieces))
    assert ends - {0} <= {piece.end for piece in pieces}
