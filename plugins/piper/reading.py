"""Texts as the network reads them: numbers for sounds, cut into pieces that are not too long.

How a text sounds is told by a function of the worker, which alone knows espeak-ng.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

from plugins.piper.voice_format import BEGIN, END, PAD, VoiceConfig
from speech_engine import UnsupportedLanguage, UnsupportedText

Phonemize = Callable[[str, VoiceConfig], list[list[str]]]
"""A function that takes a text and returns the sounds of each of its sentences."""

MOST_SOUNDS = 150
"""Of one piece, about ten seconds: a listener waits for all of it, and nothing stops one operator."""
_CLAUSE_ENDS = ",;:"

_THAI = re.compile(r"[\u0e00-\u0e7f]")
# A NUL would end the text. Brackets open espeak-ng's own notation, and a backtick may end some voices.
_UNSAFE = re.compile(r"[\x00`\[\]]")
# Arrows, boxes, emoji and letters of rare scripts: espeak-ng would spell their names.
_UNREAD = re.compile(r"[\u2190-\u2bff\ua000-\uabff\ue000-\uf8ff\U00010000-\U0010ffff]")
# espeak-ng collects a word, or letters with dots, in a buffer of fixed size.
_LONG = re.compile(r"(\S{60})\S")
_DOTTED = re.compile(r"(?:[^\s.]{1,6}\.\s{0,2}){9,}")


class Piece(NamedTuple):
    """Numbers for the network: one sentence, or a part of a long one."""

    numbers: tuple[int, ...]

    def __repr__(self) -> str:
        return f"<Piece of {len(self.numbers)} numbers>"


def read_text(text: str, config: VoiceConfig, phonemize: Phonemize) -> list[Piece]:
    """Return the pieces of a text. Raise UnsupportedLanguage or UnsupportedText."""
    if _THAI.search(text):
        raise UnsupportedLanguage("Piper does not speak Thai: it has no reader for it.")
    safe = safe_text(text)
    sentences = [list(unicodedata.normalize("NFD", safe))] if config.is_spelled else phonemize(safe, config)
    pieces = [
        _piece(part, config)
        for sentence in sentences
        if _is_heard(sentence, config)
        for part in _parts(sentence)
        if _is_heard(part, config)
    ]
    if not pieces:
        raise UnsupportedText("The text has nothing that this voice can speak.")
    return pieces


def safe_text(text: str) -> str:
    """Return a text that cannot harm espeak-ng. What is replaced becomes one blank."""
    plain = _UNREAD.sub(" ", _UNSAFE.sub(" ", text))
    plain = _DOTTED.sub(lambda found: found[0].replace(".", " "), plain)
    return _LONG.sub(r"\1 ", plain)


def _is_heard(sounds: list[str], config: VoiceConfig) -> bool:
    return any(sound in config.symbols and any(map(str.isalnum, sound)) for sound in sounds)


def _parts(sounds: list[str]) -> Iterator[list[str]]:
    """Cut a long sentence after a comma, else between two words, or anywhere if a word is that long."""
    while len(sounds) > MOST_SOUNDS:
        gaps = [at for at in range(MOST_SOUNDS // 3, MOST_SOUNDS) if sounds[at] == " "]
        clauses = [at for at in gaps if sounds[at - 1] in _CLAUSE_ENDS]
        end = max(clauses or gaps, default=MOST_SOUNDS)
        yield sounds[:end]
        sounds = sounds[end:]
    yield sounds


def _piece(sounds: list[str], config: VoiceConfig) -> Piece:
    """Put a pad after each sound, as the networks learned it. A sound that one does not know is left out."""
    pad = config.symbols[PAD]
    numbers = [*config.symbols[BEGIN], *pad]
    for sound in sounds:
        if sound in config.symbols:
            numbers += [*config.symbols[sound], *pad]
    return Piece((*numbers, *config.symbols[END]))
