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
_COUNTRY = re.compile(r"^(?P<host>[^/:?]+\.)(?P<country>[A-Za-z]{2})(?![^/:?])")
_VOWEL = re.compile("[AEIOUaeiou]")


def rule(language: Language) -> Rule:
    signs = language.tables.signs

    def letters(text: str) -> str:
        return language.letter_mark.join(text.upper())

    def piece(text: str, is_machine: bool) -> str:
        if text == "www":
            return " ".join("WWW")
        if not text.isdecimal():
            # A letter is no sign here: x.com.
            return text if text.isalpha() else signs.get(text, text)
        is_number = len(text) <= _LONGEST_NUMBER and text[0] != "0" and not (is_machine and len(text) < 4)
        return language.cardinal(int(text), "alone") if is_number else spelled(text, language)

    def pieces(text: str) -> str:
        is_machine = _MACHINE.match(text) is not None
        return " ".join(piece(each, is_machine) for each in _PIECE.findall(text))

    def spoken(match: re.Match[str]) -> str:
        address = _SCHEME.sub("", match[0]).rstrip("/")
        found = _COUNTRY.match(address)
        # Only English says the letters of a country with a vowel, as in uk, one by one.
        if found is None or (language.of and _VOWEL.search(found["country"])):
            return pieces(address)
        return f"{pieces(found['host'])} {letters(found['country'])} {pieces(address[found.end() :])}"

    return lambda draft: keep_addresses(draft, spoken, language.domains)
