"""Lexicons: how words are said that no engine could know. Which of them count for a text, whose word is the
last, and what an entry may be."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from policies import language
from speech_engine import Alphabet, Pronunciation, Segment
from speech_engine.text import cleaning
from speech_engine.text.words import words_of

NONE_BY_NAME = "none"
"""The name that no lexicon has: whoever asks for it wants none at all."""
MOST_WORDS = 1000
MOST_INLINE = 100
MOST_LEXICONS = 50
MOST_WORD = 100
MOST_SPOKEN = 200

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_IPA = re.compile(r"/([^/<>&\"]*[^/<>&\"\s][^/<>&\"]*)/")
_PINYIN = re.compile(r"(\([a-zü]{1,6}[1-5]\))+", re.IGNORECASE)

_MOST_KEPT = 256

Words = Mapping[str, str]
_Layers = tuple[tuple[int, str], ...]


class Lexicon(msgspec.Struct, frozen=True):
    """What counts for one text: what to say for which words, and how words sound, for engines that take
    that. Two with the same digest are the same."""

    words: Words = {}
    sounds: tuple[Pronunciation, ...] = ()
    digest: str = ""

    def __repr__(self) -> str:
        return f"<Lexicon of {len(self.words)} words>"


EMPTY = Lexicon()


class UnknownLexicon(Exception):
    """There is no lexicon of the name that was asked for."""


class Lexicons:
    """An account's and the operator's, by name. What was put together is kept, so that the next text of the
    same language costs nothing."""

    def __init__(self, shared: Mapping[str, Words], own: Mapping[str, Words] | None = None) -> None:
        self._owners = (own or {}, shared)
        self._kept: dict[_Layers, Lexicon] = {}

    def __repr__(self) -> str:
        own, shared = self._owners
        return f"<Lexicons {len(own)} of an account, {len(shared)} of the operator>"

    def for_text(self, wanted: str | Words | None, tag: str) -> Lexicon:
        """`wanted` is a name, `none`, or entries of the request's own, which come before all others. Raises
        UnknownLexicon."""
        if wanted == NONE_BY_NAME or (wanted is None and not any(self._owners)):
            return EMPTY
        if wanted is not None and not isinstance(wanted, str):
            return merge([wanted, *(self._words(layer) for layer in self._layers(None, tag))])
        layers = self._layers(wanted, tag)
        if not layers:
            return EMPTY
        found = self._kept.get(layers)
        if found is None:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            found = self._kept[layers] = merge([self._words(layer) for layer in layers])
        return found

    def _layers(self, name: str | None, tag: str) -> _Layers:
        """Which owner's, and of what name; the first has the last word."""
        names = _chain(tag)
        if name is not None:
            asked = usual_name(name)
            if not any(asked in owner for owner in self._owners):
                raise UnknownLexicon(name)
            names = list(dict.fromkeys((asked, *names)))
        return tuple(
            (place, each)
            for place, owner in enumerate(self._owners)
            if owner
            for each in names
            if each in owner
        )

    def _words(self, layer: tuple[int, str]) -> Words:
        place, name = layer
        return self._owners[place][name]


def merge(layers: Sequence[Words]) -> Lexicon:
    """The first layer that has a word says how it is spoken; in lower case it has the word in any case."""
    entries: dict[str, str] = {}
    for layer in layers:
        before = frozenset(entries)
        for word, spoken in layer.items():
            if word not in before and word.lower() not in before:
                entries[word] = spoken
    words: dict[str, str] = {}
    sounds = []
    for word, spoken in entries.items():
        sound = sound_of(word, spoken)
        # As it is written, and out of every rule's reach: a dictionary must find it again.
        words[word] = spoken if sound is None else word
        if sound is not None:
            sounds.append(sound)
    return Lexicon(words, tuple(sounds), _digest(entries))


def find_pronunciations(
    lexicon: Lexicon, alphabets: Sequence[Alphabet], segments: Iterable[Segment]
) -> tuple[Pronunciation, ...]:
    """How those words sound that are spoken here, as they stand there, in alphabets that a model takes."""
    by_word = {each.word: each for each in lexicon.sounds if each.alphabet in alphabets}
    if not by_word:
        return ()
    words = words_of({word: word for word in by_word})
    spoken = [
        segment.spoken[found.start : found.end]
        for segment in segments
        for found in words.find(segment.spoken)
    ]
    told = ((word, by_word.get(word) or by_word[word.lower()]) for word in dict.fromkeys(spoken))
    return tuple(Pronunciation(word, each.alphabet, each.sounds) for word, each in told)


def sound_of(word: str, spoken: str) -> Pronunciation | None:
    """`/…/` is IPA, `(chu3)(li3)` is pinyin; None for what is simply said instead."""
    if (ipa := _IPA.fullmatch(spoken)) is not None:
        return Pronunciation(word, "ipa", ipa[1].strip())
    return Pronunciation(word, "pinyin", spoken) if _PINYIN.fullmatch(spoken) else None


def is_tag(name: str) -> bool:
    """Whether it is a language with, perhaps, a script or a region: its texts have the lexicon by itself."""
    return _LANGUAGE.fullmatch(name) is not None


def usual_name(name: str) -> str:
    """A language tag as it is usually written, any other name as it is."""
    return language.usual(name) if _TAG.fullmatch(name) else name


def name_fault(name: str) -> str | None:
    """What a name must be, where it is something else."""
    if name.lower() == NONE_BY_NAME or not _NAME.fullmatch(name):
        return "a name of 1 to 64 letters, digits, _, . and -, other than none"
    return None


def usual_words(words: Words) -> dict[str, str]:
    """As they are kept and looked for: composed, without blanks around them."""
    return {_usual(word): _usual(spoken) for word, spoken in words.items()}


def words_fault(words: Words, most: int = MOST_WORDS, *, is_named: bool = False) -> str | None:
    """What the entries must be, where one is something else. It counts entries and never repeats one: they
    are the user's text. To whoever wrote them here in a file or a command the word `is_named`, unless it is
    itself what is wrong."""
    if len(words) > most:
        return f"at most {most} words; got {len(words)}"
    for number, (word, spoken) in enumerate(words.items(), 1):
        entry = f"entry {number}"
        for text, what, most_characters in ((word, "word", MOST_WORD), (spoken, "spoken form", MOST_SPOKEN)):
            if not 1 <= len(text) <= most_characters or _CONTROL.search(text) or not _usual(text):
                return (
                    f"words with what is said for them; {entry} has a {what} that is not 1 to "
                    f"{most_characters} printable characters"
                )
            entry = f"{word!r}" if is_named else entry
        if (
            spoken.strip().startswith("/")
            and spoken.strip().endswith("/")
            and not _IPA.fullmatch(spoken.strip())
        ):
            return f"words with what is said for them; between the slashes of {entry} is no IPA"
    return None


def _usual(text: str) -> str:
    return " ".join(cleaning.cleaned(text)[0].split())


def _chain(tag: str) -> list[str]:
    """`zh-Hant-TW` → itself, `zh-Hant`, `zh`: the more exact one first."""
    parts = language.usual(tag).split("-")
    return ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _digest(entries: Words) -> str:
    return hashlib.sha256(msgspec.json.encode(sorted(entries.items()))).hexdigest()[:32]
