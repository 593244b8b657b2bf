"""The shared reading of texts by espeak-ng: safe texts, their sounds, and short pieces of them."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

from speech_engine.errors import EngineFailed

CLAUSE_ENDS = ",;:.?!\u2014\u2026"
_STRESS = "\u02c8"
"""The mark of a stressed syllable. Words such as "the" and "of" have none."""
_LONGEST_WORD = 80

# A NUL would end the text. Brackets open espeak-ng's own notation, and a backtick may end some voices.
_UNSAFE = re.compile(r"[\x00`\[\]]")
# Arrows, boxes, emoji and letters of rare scripts: espeak-ng would spell their names.
_UNREADABLE = re.compile(r"[\u2190-\u2bff\ua000-\uabff\ue000-\uf8ff\U00010000-\U0010ffff]")
# espeak-ng collects a word, or letters with dots, in a buffer of fixed size.
_LONG = re.compile(r"(\S{60})\S")
_DOTTED = re.compile(r"(?:[^\s.]{1,6}\.\s{0,2}){9,}")
# espeak-ng gives no mark for it, and piper-tts joins the words around it. A comma sounds like it.
_INNER_ELLIPSIS = re.compile(r"(?:\u2026|(?<!\.)\.{3,}+)(?=[^\w,;:?!]{0,8}\w)")


Ends = Literal["word", "phrase", "clause", "sentence", "paragraph"]


class WordPlace(NamedTuple):
    """A word of a text, from `start` to `end`. It begins with the sound of this number, or inside of it."""

    sound: float
    start: int
    end: int


class Piece(NamedTuple):
    """Numbers for a network: a sentence, or a part of a long one, and how many `sounds` they stand for.

    `ends` is the largest unit that ends here: a longer pause follows a larger one. `words` are those whose
    places among the sounds are known. A piece that ends with a "word" has more numbers than sounds, and may
    end after any of `cuts` sounds: its engine tells which, and the next piece begins behind the first one.
    """

    numbers: tuple[int, ...]
    sounds: int
    ends: Ends = "sentence"
    words: tuple[WordPlace, ...] = ()
    cuts: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return f"<Piece of {len(self.numbers)} numbers>"


class EspeakReader:
    """Tells how texts sound, in any language of espeak-ng.

    `make` makes piper-tts's phonemizer: only a plugin's worker loads that library. espeak-ng keeps its
    language in globals of the process, so one text is read at a time.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._lock = threading.Lock()
        # Its debugging quotes texts.
        logging.getLogger("piper").setLevel(logging.ERROR)

    @cached_property
    def phonemizer(self) -> Any:
        """The one of this process: after a second start, espeak-ng may read a text in another language."""
        return self._make()

    def read(self, text: str, language: str, clusters: Collection[tuple[str, ...]] = ()) -> list[list[str]]:
        """Return the sounds of a text as one sentence, or none. Each of `clusters` is one sound.

        Raise EngineFailed.
        """
        # A lone surrogate cannot be written as UTF-8.
        clean = _INNER_ELLIPSIS.sub(", ", text.encode(errors="replace").decode())
        with self._lock:
            phonemizer = self.phonemizer
            try:
                clauses: list[list[str]] = phonemizer.phonemize(language, clean, set(clusters) or None)
            except RuntimeError as error:
                raise EngineFailed(f"espeak-ng has no voice {language}") from error
        # espeak-ng ends a sentence at each question mark, even before "she asked".
        return [[sound for clause in clauses for sound in (" ", *clause)][1:]] if clauses else []


Phonemize = Callable[[str, str, Collection[tuple[str, ...]]], list[list[str]]]
"""`EspeakReader.read`, or its replacement in a test."""


def safe_text(text: str) -> str:
    """Return a text that cannot harm espeak-ng. A run of unsafe characters becomes one blank."""
    plain = _UNREADABLE.sub(" ", _UNSAFE.sub(" ", text))
    plain = _DOTTED.sub(lambda found: found[0].replace(".", " "), plain)
    return _LONG.sub(r"\1 ", plain)


def cut_sounds(sounds: list[str], most: int) -> Iterator[list[str]]:
    """Cut a long sentence where a speaker might pause, else between two words, or anywhere in a long word."""
    while len(sounds) > most:
        end = cut_place(sounds, most, most)
        yield sounds[:end]
        sounds = after_cut(sounds, end)
    yield sounds


def cut_place(sounds: list[str], usual: int, most: int, least: int = 0) -> int:
    """Return how many of a sentence's sounds make a first part: `usual` ones or fewer, if a word ends there.

    It never has fewer than `least`, or a third of `usual`. If the first word is longer than `usual`, the cut
    is after it, or at `most`.
    """
    gaps = [at for at in range(max(least, usual // 3), min(usual + 1, len(sounds))) if sounds[at] == " "]
    if not gaps:
        return next((at for at in range(usual, min(most, len(sounds))) if sounds[at] == " "), most)
    # A rest of a few sounds would sound alone.
    goal = min(usual, len(sounds) // 2) if len(sounds) <= 2 * usual else usual
    return max(gaps, key=lambda at: (_pause(sounds, at), -abs(at - goal)))


def after_cut(sounds: list[str], end: int) -> list[str]:
    """Return the sounds after a cut, without the blank that was there."""
    return sounds[end + (sounds[end : end + 1] == [" "]) :]


def end_of_part(part: Sequence[str]) -> Ends:
    """Return what ends with a part of a sentence that is not its last one."""
    return "clause" if part[-1:] and part[-1] in CLAUSE_ENDS else "phrase"


def _pause(sounds: list[str], at: int) -> int:
    """Tell how well a pause fits between two words: best after a comma, then as before "in" or "of"."""
    if end_of_part(sounds[at - 1 : at]) == "clause":
        return 3
    before = "".join(sounds[max(0, at - _LONGEST_WORD) : at]).rpartition(" ")[2]
    after = "".join(sounds[at + 1 : at + 1 + _LONGEST_WORD]).partition(" ")[0]
    return (_STRESS in before) + (_STRESS in before and _STRESS not in after)
