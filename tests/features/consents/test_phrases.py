"""The sentences of consent: each names the operator, and each is in its language."""

from proxy.features.consents.rules import LANGUAGES, phrase
from tests.tables import each_row

OPERATOR = "Estúdio Ana & Söhne {0}"


@each_row("language", LANGUAGES)
def test_the_operator_is_named_once_as_it_is_written(language: str) -> None:
    said = phrase(language, OPERATOR)
    assert said is not None
    assert said.count(OPERATOR) == 1
    assert "{operator}" not in said
    assert len(said.replace(OPERATOR, "")) > 25


def test_openai_s_english_one_is_said_word_for_word() -> None:
    said = "I am the owner of this voice and I consent to Acme using this voice to create a synthetic voice "
    assert phrase("en-NG", "Acme") == said + "model."


def test_regions_share_a_sentence_and_an_unknown_language_has_none() -> None:
    assert phrase("pt-BR", "Acme") == phrase("PT", "Acme") == phrase("pt", "Acme")
    assert phrase("zh-Hant-TW", "Acme") == phrase("zh", "Acme")
    assert phrase("yo", "Acme") is None
    assert phrase("", "Acme") is None


def test_no_two_languages_share_one() -> None:
    assert len({phrase(language, "Acme") for language in LANGUAGES}) == len(LANGUAGES) == 17
