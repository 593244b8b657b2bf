"""Addresses of the web, mailboxes and network names, as a person says them: example dot com."""

from __future__ import annotations

import re

from plugins.latin.amounts import spelled
from plugins.latin.language import Language, Rule
from speech_engine.text.draft import keep_addresses

_SCHEME = re.compile("^[a-z]+://")
_PIECE = re.compile(r"[0-9]+|[^\W\d_]+|[^\w\s]|_")
_MACHINE = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_LONGEST_NUMBER = 4
# Its letters are said one by one: www, and a country behind the last point.
_LETTERS = re.compile(r"^www(?=\.)|(?<=\.)[A-Za-z]{2}(?=$|[/:?])")


def rule(language: Language) -> Rule:
    signs = language.tables.signs

    def piece(text: str, is_machine: bool) -> str:
        if not text.isdecimal():
            return signs.get(text, text)
        is_number = len(text) <= _LONGEST_NUMBER and text[0] != "0" and not (is_machine and len(text) < 4)
        return language.cardinal(int(text), "alone") if is_number else spelled(text, language)

    def spoken(match: re.Match[str]) -> str:
        address = _LETTERS.sub(
            lambda found: " ".join(found[0].upper()), _SCHEME.sub("", match[0]).rstrip("/")
        )
        is_machine = _MACHINE.match(address) is not None
        return " ".join(piece(each, is_machine) for each in _PIECE.findall(address))

    return lambda draft: keep_addresses(draft, spoken, language.domains)
