"""The front-end `latin`, case by case: what a reader of each language says."""

import re
from pathlib import Path

import pytest

import plugins.latin
from plugins.latin.front_end import _LANGUAGES, LatinFrontEnd
from tests.plugins.latin import cases_en, cases_es, cases_pt
from tests.tables import each_row

CASES = [
    pytest.param(language, text, spoken, id=f"{language}-{rule}-{text}")
    for language, cases in (("pt", cases_pt), ("es", cases_es), ("en", cases_en))
    for rule, rows in cases.CASES.items()
    for text, spoken in rows
]
README = (Path(plugins.latin.__file__).parent / "README.md").read_text()
SHOWN = re.findall(r"^\| ([a-z]{2}(?:-[A-Z]{2})?) \| `([^`]+)` \| (.+) \|$", README, re.MULTILINE)
REGIONS = [row for cases in (cases_pt, cases_es, cases_en) for row in cases.REGIONS]


def said(language: str, text: str) -> str:
    return " | ".join(segment.spoken for segment in LatinFrontEnd().prepare(text, language, {}))


@each_row(("language", "text", "spoken"), CASES)
def test_a_case_is_read_as_a_native_would(language: str, text: str, spoken: str) -> None:
    assert said(language, text) == spoken


@each_row(("language", "text", "spoken"), REGIONS)
def test_a_region_is_read_by_its_own_custom(language: str, text: str, spoken: str) -> None:
    assert said(language, text) == spoken


@each_row(("language", "text", "spoken"), SHOWN)
def test_the_readme_shows_what_is_said(language: str, text: str, spoken: str) -> None:
    assert said(language, text) == spoken


def test_the_readme_shows_each_language() -> None:
    assert {language for language, _, _ in SHOWN} >= {"pt", "es", "en", "fr", "it"}


@each_row("language", ["pt", "es", "en", "fr", "it"])
def test_each_abbreviation_is_said(language: str) -> None:
    tables = _LANGUAGES[language]("").tables
    for written, spoken in {**tables.titles, **tables.closings}.items():
        assert spoken in said(language, f"x {written}. x")
    for written, spoken in tables.labels.items():
        assert spoken in said(language, f"x {written} 5")
