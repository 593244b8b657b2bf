"""The language of a text: what is read, in which order, and what counts."""

from hypothesis import given
from hypothesis import strategies as st

from policies import language
from policies.language import Detect, LanguageChoice
from tests.tables import each_row


@each_row(
    ("text", "found"),
    [
        ("", None),
        ("123 !? 😀", None),
        ("Hello there.", None),
        ("Olá, tudo bem?", None),
        ("Привет", "ru"),
        ("Καλημέρα", "el"),
        ("مرحبا بالعالم", "ar"),
        ("नमस्ते", "hi"),
        ("Ж", "ru"),
        ("¿ß?", None),
        ("สวัสดีครับ", "th"),
        ("สวัสดี 12345 !!", "th"),
        ("ขอ iPhone 15 Pro Max หนึ่งเครื่องครับ", "th"),
        ("The Thai word for hello is สวัสดี, as every visitor soon learns to say", None),
        ("ab กข", "th"),
        ("abcdefgh ก", None),
        ("こんにちは", "ja"),
        ("東京タワー", "ja"),
        ("日本語", "zh"),
        ("Sony の新しい phone", "ja"),
        ("你好，世界", "zh"),
        ("안녕하세요", "ko"),
        ("한국 大韓", "ko"),
        ("Visit 北京 this summer with your whole family", None),
        ("𠀀𠀁", "zh"),
        ("ᄒᆞᆫ", "ko"),
    ],
)
def test_a_script_gives_its_language_away(text: str, found: str | None) -> None:
    assert language.language_of_script(text) == found


@each_row(("thai", "latin", "found"), [(3, 7, "th"), (29, 71, None), (30, 70, "th"), (0, 1, None)])
def test_thai_wins_from_three_letters_in_ten(thai: int, latin: int, found: str | None) -> None:
    assert language.language_of_script("ก" * thai + "x" * latin) == found
    assert language.language_of_script("x" * latin + " 1, " + "ก" * thai) == found


def says(**by_beginning: str) -> Detect:
    """A detector that knows texts by their first word, and is unsure of all others."""

    def detect(text: str, _usual: str) -> tuple[str, ...]:
        tag = by_beginning.get(text.split()[0].strip(".,!?") if text.split() else "")
        return (tag,) if tag else ()

    return detect


@each_row(
    ("text", "chosen"),
    [
        ("สวัสดี", LanguageChoice("th", "script")),
        ("Bom dia", LanguageChoice("pt", "detected")),
        ("Hello", LanguageChoice("en", "default")),
        ("...", LanguageChoice("en", "default")),
    ],
)
def test_script_then_detector_then_default(text: str, chosen: LanguageChoice) -> None:
    assert language.language_of_text(text, says(Bom="pt", Hello="")) == chosen


def test_without_a_detector_the_script_and_the_default_decide() -> None:
    assert language.language_of_text("Bom dia") == LanguageChoice("en", "default")
    assert language.language_of_text("Bom dia", None, "pt") == LanguageChoice("pt", "default")
    assert language.language_of_text("Добрий вечір") == LanguageChoice("ru", "script")


def test_a_region_comes_from_the_default_and_never_from_a_detector() -> None:
    assert language.language_of_text("Bom dia", says(Bom="PT-br")) == LanguageChoice("pt", "detected")
    assert language.language_of_text("Hello", None, "pt-BR") == LanguageChoice("pt-BR", "default")


@each_row(
    ("text", "detected", "default", "chosen"),
    [
        ("Bom dia", "pt", "pt-BR", LanguageChoice("pt-BR", "detected")),
        ("Bom dia", "pt", "es-419", LanguageChoice("pt", "detected")),
        ("Добрый вечер", "ru", "ru-UA", LanguageChoice("ru-UA", "detected")),
        ("你好，世界", "", "zh-TW", LanguageChoice("zh-TW", "script")),
    ],
)
def test_a_detected_language_is_the_default_with_its_region(
    text: str, detected: str, default: str, chosen: LanguageChoice
) -> None:
    assert language.language_of_text(text, lambda _text, _usual: (detected,), default) == chosen


def test_an_unsure_script_of_several_languages_is_the_default_if_it_is_one_of_them() -> None:
    assert language.language_of_text("Привіт", None, "uk-UA") == LanguageChoice("uk-UA", "default")
    assert language.language_of_text("Привіт", None, "en") == LanguageChoice("ru", "script")


def test_a_detector_is_told_the_base_of_the_usual_language() -> None:
    asked: list[str] = []

    def detect(_text: str, usual: str) -> tuple[str, ...]:
        asked.append(usual)
        return ()

    language.language_of_text("Bom dia", detect, "pt-BR")
    assert asked == ["pt"]


GALICIAN = "Onde está a estación de tren, por favor?"
GUESSES = {GALICIAN: ("gl", "pt", "ru", "es"), "Здравей, как си?": ("bg", "en", "mk"), "សួស្តី": ("km", "en")}


@each_row(
    ("text", "default", "others"),
    [
        (GALICIAN, "en-GB", [("pt", "detected"), ("es", "detected"), ("en-GB", "default")]),
        (GALICIAN, "pt-BR", [("pt-BR", "detected"), ("es", "detected"), ("pt-BR", "default")]),
        ("Здравей, как си?", "en", [("mk", "detected"), ("ru", "script")]),
        # Nobody could read these letters in another language.
        ("សួស្តី", "en", []),
        ("สวัสดี", "en", []),
        ("Hello", "en", []),
    ],
)
def test_a_guess_that_nobody_speaks_has_alternatives_in_the_same_letters(
    text: str, default: str, others: list[tuple[str, language.Source]]
) -> None:
    def detect(text: str, _usual: str) -> tuple[str, ...]:
        return GUESSES.get(text, ())

    choice = language.language_of_text(text, detect, default)
    found = language.alternative_languages(choice, text, detect, default)
    assert [(each.tag, each.source) for each in found] == others


def test_a_language_that_was_named_has_no_alternative() -> None:
    for source in ("request", "voice"):
        choice = LanguageChoice("fr", source)
        assert list(language.alternative_languages(choice, "Bom dia", says(Bom="pt"))) == []


@each_row(
    ("text", "detected", "chosen"),
    [
        ("Добрий вечір", "uk", LanguageChoice("uk", "detected")),
        ("Добрый вечер", "ru", LanguageChoice("ru", "detected")),
        ("Добрый вечер", "en", LanguageChoice("ru", "script")),
        ("Добрый вечер", "", LanguageChoice("ru", "script")),
        ("صبح بخیر", "fa", LanguageChoice("fa", "detected")),
        ("नमस्कार", "mr", LanguageChoice("mr", "detected")),
        ("早上好", "ja", LanguageChoice("zh", "script")),
        ("สวัสดี", "lo", LanguageChoice("th", "script")),
        ("Καλημέρα", "en", LanguageChoice("el", "script")),
    ],
)
def test_a_detector_is_heard_where_languages_share_a_script(
    text: str, detected: str, chosen: LanguageChoice
) -> None:
    guesses = (detected,) if detected else ()
    assert language.language_of_text(text, lambda _text, _usual: guesses) == chosen


def test_an_unmistakable_script_never_reaches_the_detector() -> None:
    def detect(text: str, _usual: str) -> tuple[str, ...]:
        raise AssertionError(text)

    assert language.language_of_text("สวัสดี Bangkok", detect).tag == "th"


def noting(texts: list[str]) -> Detect:
    """A detector that is unsure of all texts, and notes them."""

    def detect(text: str, _usual: str) -> tuple[str, ...]:
        texts.append(text)
        return ()

    return detect


def test_addresses_say_nothing_of_the_language() -> None:
    texts: list[str] = []
    text = "Veja https://example.com/help?a=b ou www.example.com, ana@example.com!"
    language.language_of_text(text, noting(texts))
    assert [text.split() for text in texts] == [["Veja", "ou", "!"]]
    assert language.language_of_text("ดูที่ https://example.com/a/very/long/path").tag == "th"


def test_a_detector_gets_two_thousand_characters() -> None:
    texts: list[str] = []
    language.language_of_text("word " * 1000, noting(texts))
    assert [len(text) for text in texts] == [2000]


@given(st.text(max_size=100))
def test_any_text_has_a_language(text: str) -> None:
    assert language.language_of_script(text) in {None, *_BY_SCRIPT}
    # The order of the letters does not matter.
    assert language.language_of_script(text) == language.language_of_script(text[::-1])


_BY_SCRIPT = ["el", "ru", "hy", "he", "ar", "hi", "bn", "ta", "te", "th", "ka", "ko", "ja", "zh"]


@each_row(("tag", "base"), [("pt-BR", "pt"), ("PT", "pt"), ("zh-Hant-TW", "zh"), ("", "")])
def test_the_base_of_a_tag(tag: str, base: str) -> None:
    assert language.base_tag(tag) == base


@each_row(
    ("tag", "written"),
    [
        ("PT-br", "pt-BR"),
        ("en", "en"),
        ("es-419", "es-419"),
        ("ZH-hant-tw", "zh-Hant-TW"),
        ("EN-scotland", "en-scotland"),
    ],
)
def test_a_tag_is_written_as_usual(tag: str, written: str) -> None:
    assert language.canonical_tag(tag) == written


def test_a_tag_means_what_it_begins() -> None:
    assert language.tag_matches("pt-BR", "pt")
    assert language.tag_matches("pt", "pt-BR")
    assert not language.tag_matches("pt-BR", "pt-PT")
