"""Abbreviations. Titles never end a sentence, closings can, and labels stand before a number."""

from __future__ import annotations

import re
from collections.abc import Mapping

from plugins.latin.amounts import INNER_STOP
from plugins.latin.language import Language, Rule
from speech_engine.text.draft import Draft

# Behind such a word, a letter is no initial and no title, so its full stop ends a sentence.
LETTERED = re.compile(
    r"(?i:\b(?:vitamin[ae]?|size|taille|taglia|talla|tamanho|plan|plano|piano|letter|lettre|lettera|letra))"
    r" (?=[A-Z]\.)"
)
_LETTERED_REACHES = 10
_TITLE_STOP = r"(?:\.(?!\s*\Z)|(?=\.))"
_CLOSING_STOP = rf"(?:{INNER_STOP}|(?=\.))"
_LABELLED = r"(?=[ \u00a0]?[0-9\0])"


def rule(language: Language) -> Rule:
    tables = language.tables
    titles = _pattern(tables.titles, _TITLE_STOP)
    closings = _pattern(tables.closings, _CLOSING_STOP)
    labels = _pattern(tables.labels, _LABELLED)
    words = {_blankless(key): spoken for key, spoken in {**tables.titles, **tables.closings}.items()}

    def decide(draft: Draft) -> None:
        # The blank separates the label from a number that follows at once: nº5.
        draft.rewrite(labels, lambda match: f"{tables.labels[_blankless(match[0])]} ")
        if "." in draft.open:
            draft.rewrite(closings, lambda match: words[_key(match)])
            draft.rewrite(titles, lambda match: words[_key(match)])

    return decide


def before_names(short: str, spoken: Mapping[str, str]) -> Rule:
    """Return the rule that reads an initial as a title, but only before one of the names: D. Pedro."""
    titles = {name: title for title, names in spoken.items() for name in names.split()}
    pattern = re.compile(rf"(?<![\w.]){short}\.(?= (?P<name>{'|'.join(titles)})\b)")

    def title(match: re.Match[str]) -> str | None:
        start = match.start()
        before = LETTERED.search(match.string, max(0, start - _LETTERED_REACHES), match.end())
        return None if before else titles[match["name"]]

    return lambda draft: draft.rewrite(pattern, title)


def _pattern(table: Mapping[str, str], stop: str) -> re.Pattern[str]:
    written = sorted(table, key=len, reverse=True)
    one_of = "|".join(
        re.escape(key[:-1]).replace(r"\.", r"\.[ \u00a0]?") + re.escape(key[-1]) for key in written
    )
    return re.compile(rf"(?<![\w.])(?:{one_of}){stop}")


def _key(match: re.Match[str]) -> str:
    return _blankless(match[0]).rstrip(".")


def _blankless(text: str) -> str:
    return re.sub(r"\s", "", text)
