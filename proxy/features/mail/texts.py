"""The texts of mails: a flat JSON file for each language, with a subject and a body for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

DEFAULT = "en"
_FOLDER = Path(__file__).parent / "texts"
_MOST_CHARACTERS = 500


@cache
def all_texts() -> Mapping[str, Mapping[str, str]]:
    """Return the texts of each language, by its tag."""
    return {
        file.stem: msgspec.json.decode(file.read_bytes(), type=dict[str, str])
        for file in sorted(_FOLDER.glob("*.json"))
    }


def has_kind(kind: str) -> bool:
    return f"{kind}.subject" in all_texts()[DEFAULT]


def language_of(wanted: str) -> str:
    """Return the language of a mail for a wanted one: "pt" is pt-BR, and an unknown one is English."""
    related = [tag for tag in all_texts() if tag.partition("-")[0] == wanted.partition("-")[0].lower()]
    return next((tag for tag in related if tag == wanted), related[0] if related else DEFAULT)


def render(kind: str, language: str, facts: Mapping[str, str], service: str = "") -> tuple[str, str]:
    """Return the subject and the body, with the name of the service if it has one. Raises KeyError for an
    unknown kind, and for a missing fact."""
    texts = all_texts()[language_of(language)]
    lines = {name: _one_line(fact) for name, fact in facts.items()}
    subject, body = (texts[f"{kind}.{part}"].format_map(lines) for part in ("subject", "body"))
    if service:
        subject, body = f"{subject} · {service}", f"{body.rstrip()}\n\n{service}"
    return subject, f"{body.rstrip()}\n"


def _one_line(fact: str) -> str:
    """Return a fact on one line: it may be a stranger's, and must not add a header or a paragraph."""
    shown = "".join(character if character.isprintable() else " " for character in fact)
    return " ".join(shown.split())[:_MOST_CHARACTERS]
