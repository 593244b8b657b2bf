"""The texts of mails: every language says the same, each is used, and each placeholder is filled."""

from pathlib import Path
from string import Formatter

from proxy.features.mail import texts
from tests.tables import each_row

ROOT = Path(texts.__file__).parents[2]
POLICIES = ROOT.parent / "policies"
ENGLISH = texts.all_texts()["en"]
KINDS = sorted({name.partition(".")[0] for name in ENGLISH})


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_all_languages_say_the_same() -> None:
    assert sorted(texts.all_texts()) == ["en", "es", "pt-BR"]
    for language, said in texts.all_texts().items():
        assert list(said) == list(ENGLISH), language
        for name, text in said.items():
            assert placeholders(text) == placeholders(ENGLISH[name]), (language, name)
            assert text == text.strip()
    assert set(ENGLISH) == {f"{kind}.{part}" for kind in KINDS for part in ("subject", "body")}


def test_each_text_is_used() -> None:
    code = "".join(file.read_text() for folder in (ROOT, POLICIES) for file in folder.rglob("*.py"))
    made = {f"{of}_{end}" for of in ("job", "training") for end in ("done", "failed", "canceled")}
    assert "_{_ENDS[event]}" in code
    assert not {kind for kind in KINDS if kind not in made and f'"{kind}"' not in code}


@each_row(
    ("wanted", "language"),
    [
        ("en", "en"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("es-419", "es"),
        ("EN", "en"),
        ("fr", "en"),
        ("", "en"),
    ],
)
def test_a_language_without_texts_is_a_near_one_or_english(wanted: str, language: str) -> None:
    assert texts.language_of(wanted) == language
