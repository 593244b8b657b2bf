"""Which language a text is spoken in: what is said explicitly first, what its script gives away last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import language


@pytest.mark.parametrize(
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
    assert language.by_script(text) == found


@pytest.mark.parametrize(
    ("thai", "latin", "found"), [(3, 7, "th"), (29, 71, None), (30, 70, "th"), (0, 1, None)]
)
def test_thai_wins_from_three_letters_in_ten(thai: int, latin: int, found: str | None) -> None:
    assert language.by_script("ก" * thai + "x" * latin) == found
    assert language.by_script("x" * latin + " 1, " + "ก" * thai) == found


@pytest.mark.parametrize(
    ("explicit", "of_voice", "text", "chosen"),
    [
        ("pt-BR", "th", "สวัสดี", "pt-BR"),
        (None, "th", "Hello", "th"),
        (None, None, "สวัสดี", "th"),
        (None, None, "Hello", "en"),
        (None, None, "...", "en"),
    ],
)
def test_explicit_then_voice_then_script_then_english(
    explicit: str | None, of_voice: str | None, text: str, chosen: str
) -> None:
    assert language.choose(explicit, of_voice, text) == chosen


@given(st.text(max_size=100))
def test_any_text_has_a_language(text: str) -> None:
    assert language.by_script(text) in {None, *_BY_SCRIPT}
    # The order of the letters does not matter.
    assert language.by_script(text) == language.by_script(text[::-1])


_BY_SCRIPT = ["el", "ru", "hy", "he", "ar", "hi", "bn", "ta", "te", "th", "ka", "ko", "ja", "zh"]


@pytest.mark.parametrize(("tag", "base"), [("pt-BR", "pt"), ("PT", "pt"), ("zh-Hant-TW", "zh"), ("", "")])
def test_the_base_of_a_tag(tag: str, base: str) -> None:
    assert language.base(tag) == base


@pytest.mark.parametrize(
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
    assert language.usual(tag) == written
