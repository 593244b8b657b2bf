"""Texts as the model reads them: upstream's tokens, and by name what it cannot read."""

import json
from pathlib import Path

import pytest

from plugins.xtts.text import TextReader
from speech_engine.errors import UnsupportedLanguage, UnsupportedText
from tests.plugins.xtts.in_environment.rig import TEXTS, rig, upstream


@pytest.mark.parametrize(
    ("text", "language"),
    [*((text, "en") for text in TEXTS), ("Olá, você está bem?", "pt"), ("Olá", "pt-BR"), ("你好", "zh")],
)
def test_the_tokens_are_upstreams(text: str, language: str) -> None:
    assert rig().reader.tokens(text, language) == upstream().tokenizer.encode(text, language)


def test_a_language_that_the_model_lacks_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedLanguage, match="'th'"):
        rig().reader.tokens("สวัสดีครับ", "th")


def test_a_language_whose_reader_is_not_installed_is_not_offered() -> None:
    assert "ja" in rig().checkpoint.languages
    with pytest.raises(UnsupportedLanguage, match="'ja'"):
        rig().reader.tokens("こんにちは", "ja")


def test_a_thai_model_reads_thai() -> None:
    thai = rig(is_thai=True)
    assert "th" in thai.checkpoint.languages
    tokens = thai.reader.tokens("สวัสดี ครับ", "th")
    assert len(tokens) > 8
    assert thai.reader.tokens("สวัสดี  ครับ\n", "th") == tokens


def test_a_letter_that_the_vocabulary_lacks_is_refused_by_name_and_the_text_is_not_quoted() -> None:
    with pytest.raises(UnsupportedText, match="THAI CHARACTER KO KAI") as refused:
        rig().reader.tokens("the letter ก of a secret", "en")
    assert "secret" not in str(refused.value)


def test_a_mark_that_the_vocabulary_lacks_is_left_out() -> None:
    reader = rig().reader
    assert reader.tokens("well… then ☺ go", "en") == reader.tokens("well then go", "en")


@pytest.mark.parametrize("text", ["☺", "…", " "])
def test_a_text_of_which_nothing_is_left_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedText, match="nothing"):
        rig().reader.tokens(text, "en")


def test_a_text_beyond_the_models_length_is_refused_with_the_length() -> None:
    with pytest.raises(UnsupportedText, match="reads 200"):
        rig().reader.tokens("word " * 100, "en")


LONG = "9" * 70


@pytest.mark.parametrize("mark", ["[ES]", "[es]", "[STOP]", "[SPACE]", "[START]"])
def test_a_mark_in_a_text_is_spelled_and_means_nothing(mark: str) -> None:
    tokens = rig().reader.tokens(f"say {mark} now", "en")
    vocabulary = json.loads((rig().folder / "vocab.json").read_text())["model"]["vocab"]
    spelled = [vocabulary[each] for each in mark.lower()]
    space = [vocabulary["[SPACE]"]]
    say, now = ([vocabulary[each] for each in word] for word in ("say", "now"))
    assert tokens == [vocabulary["[en]"], *say, *space, *spelled, *space, *now]


def test_a_mark_that_its_vocabulary_does_not_call_special_is_spelled_too(tmp_path: Path) -> None:
    tiny = rig()
    content = json.loads((tiny.folder / "vocab.json").read_text())
    content["added_tokens"] = [each | {"special": False} for each in content["added_tokens"]]
    (tmp_path / "vocab.json").write_text(json.dumps(content))
    reader = TextReader(tmp_path / "vocab.json", ("en",), tiny.checkpoint.sizes)
    assert reader.tokens("say [es] now", "en") == tiny.reader.tokens("say [es] now", "en")


def test_a_token_beyond_the_models_table_is_refused() -> None:
    tiny = rig()
    reader = TextReader(tiny.checkpoint.vocabulary, ("en",), tiny.checkpoint.sizes._replace(vocabulary=60))
    with pytest.raises(UnsupportedText, match="has not learned"):
        reader.tokens("hello", "en")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        *((f"hello {LONG} there", language) for language in ("tr", "pl", "cs", "it")),
        ("hello €" + "9" * 60 + ".5", "hu"),
    ],
)
def test_a_number_that_upstreams_cleaning_cannot_read_is_the_texts_fault(text: str, language: str) -> None:
    with pytest.raises(UnsupportedText, match=f"number or a sign in this text as '{language}'") as refused:
        rig().reader.tokens(text, language)
    assert "999" not in str(refused.value)
    assert refused.value.__cause__ is None
