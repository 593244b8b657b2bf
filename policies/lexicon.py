"""Lexicons: the spoken forms of words that engines do not know, and which of them count for a text."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from policies import language
from speech_engine import Alphabet, Pronunciation, Segment
from speech_engine.redacted import Redacted
from speech_engine.text import cleaning
from speech_engine.text.words import UnchangedWords, word_finder

NO_LEXICON = "none"
"""The name in a request that uses no lexicon. No lexicon may have it."""
MOST_WORDS = 1000
MOST_INLINE_WORDS = 100
MOST_LEXICONS = 50
MOST_WORD_CHARACTERS = 100
MOST_SPOKEN_CHARACTERS = 200

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_IPA = re.compile(r"/([^/<>&\"]*[^/<>&\"\s][^/<>&\"]*)/")
_PINYIN = re.compile(r"(\([a-zü]{1,6}[1-5]\))+", re.IGNORECASE)

_MOST_CACHED = 256
_SOUND_CATEGORIES = frozenset(("Ll", "Lo", "Lu"))
"""Categories of the signs of IPA that are sounds, and not stress, length or accents."""
_SPOKEN_CATEGORIES = _SOUND_CATEGORIES | {"Nd", "Nl", "No"}

Words = Mapping[str, str]
"""The spoken form of each word."""
_Layers = tuple[tuple[int, str], ...]
"""Lexicons: the number of each one's owner, `_ACCOUNT` or 1 for the operator, and its name."""
_ACCOUNT = 0


class WordsBeside(dict[str, str]):
    """Entries of a request that come before those of the lexicon `beside`. It is a name or `none`. If it is
    entries, they are added to these."""

    def __init__(self, words: Words, beside: str | Words | None) -> None:
        super().__init__({**(beside if isinstance(beside, Mapping) else {}), **words})
        self.beside = beside if isinstance(beside, str) else None


class Lexicon(Redacted, msgspec.Struct, frozen=True):
    """The entries for one text: the spoken forms of words, and the sounds of words for engines with phonemes.

    `own` are the entries of the account or the request, as written: an account pays for words that it adds.
    Two lexicons with the same digest are equal.
    """

    words: Words = {}
    sounds: tuple[Pronunciation, ...] = ()
    own: Words = {}
    digest: str = ""


EMPTY_LEXICON = Lexicon()


class Lexicons:
    """The lexicons of an account and of the operator, by name.

    A combination of lexicons is cached, so that the next text in the same language costs nothing.
    """

    def __init__(self, shared: Mapping[str, Words], own: Mapping[str, Words] | None = None) -> None:
        self._owners = (own or {}, shared)
        self._merged: dict[_Layers, Lexicon] = {}

    @property
    def names(self) -> list[str]:
        return sorted({name for owner in self._owners for name in owner})

    @property
    def has_own(self) -> bool:
        return bool(self._owners[_ACCOUNT])

    def for_text(self, requested: str | Words | None, tag: str) -> Lexicon | None:
        """Return the lexicon for a text, or None if no lexicon has the requested name.

        `requested` is a name, `none`, or the request's own entries, which come before all others.
        """
        if requested == NO_LEXICON or (requested is None and not any(self._owners)):
            return EMPTY_LEXICON
        if requested is not None and not isinstance(requested, str):
            named = requested.beside if isinstance(requested, WordsBeside) else None
            others = () if named == NO_LEXICON else self._layers(named, tag)
            if others is None:
                return None
            return merge_lexicons([requested, *map(self._words, others)], own_count=1 + _count_own(others))
        layers = self._layers(requested, tag)
        if not layers:
            return None if layers is None else EMPTY_LEXICON
        lexicon = self._merged.get(layers)
        if lexicon is None:
            if len(self._merged) >= _MOST_CACHED:
                self._merged.clear()
            lexicon = self._merged[layers] = merge_lexicons(
                [self._words(layer) for layer in layers], own_count=_count_own(layers)
            )
        return lexicon

    def _layers(self, name: str | None, tag: str) -> _Layers | None:
        """Return the lexicons for a text, the strongest first, or None if no lexicon has this name. Those
        named for the tag, or for a shorter form of it, are added: `zh-Hant-TW`, `zh-Hant`, `zh`."""
        parts = language.canonical_tag(tag).split("-")
        names = ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]
        if name is not None:
            usual = usual_name(name)
            if not any(usual in owner for owner in self._owners):
                return None
            names = list(dict.fromkeys((usual, *names)))
        return tuple(
            (number, each)
            for number, owner in enumerate(self._owners)
            if owner
            for each in names
            if each in owner
        )

    def _words(self, layer: tuple[int, str]) -> Words:
        number, name = layer
        return self._owners[number][name]


def _count_own(layers: _Layers) -> int:
    return sum(owner == _ACCOUNT for owner, _ in layers)


def merge_lexicons(layers: Sequence[Words], own_count: int = 0) -> Lexicon:
    """Merge lexicons: the first layer that has a word decides. A word in lower case matches in any case.

    The first `own_count` layers belong to the account or the request.
    """
    entries: dict[str, str] = {}
    own_entries: dict[str, str] = {}
    for number, layer in enumerate(layers):
        before = frozenset(entries)
        for word, spoken in layer.items():
            if word not in before and word.lower() not in before:
                entries[word] = spoken
        if number < own_count:
            own_entries = dict(entries)
    words: dict[str, str] = {}
    sounds = []
    for word, spoken in entries.items():
        sound = sound_of(word, spoken)
        # A word with a sound stays as it is written: no rule may change it, and the engine must find it.
        words[word] = spoken if sound is None else word
        if sound is not None:
            sounds.append(sound)
    digest = hashlib.sha256(msgspec.json.encode(sorted(entries.items()))).hexdigest()[:32]
    return Lexicon(UnchangedWords(words), tuple(sounds), own_entries, digest)


def count_added(words: Words, text: str) -> int:
    """Count the characters that entries add to a text. A sound of IPA counts as one, and so does a syllable
    of pinyin."""
    if not words:
        return 0
    lengths: dict[str, int] = {}
    added = 0
    for found in word_finder(words).find(cleaning.cleaned_text(text)):
        length = lengths.get(found.spoken)
        if length is None:
            length = lengths[found.spoken] = _spoken_length(found.spoken)
        added += max(0, length - (found.end - found.start))
    return added


def sounding_length(lexicon: Lexicon, spoken: str) -> int:
    """Count the characters of a spoken text. A word with a sound of its own counts as long as its sound."""
    if not lexicon.sounds:
        return len(spoken)
    written = {
        each.word: f"/{each.sounds}/" if each.alphabet == "ipa" else each.sounds for each in lexicon.sounds
    }
    return len(spoken) + count_added(written, spoken)


def _spoken_length(spoken: str) -> int:
    sound = sound_of("", spoken)
    if sound is None:
        return len(spoken)
    if sound.alphabet == "pinyin":
        return sound.sounds.count("(")
    return sum(unicodedata.category(sign) in _SOUND_CATEGORIES for sign in sound.sounds)


def find_pronunciations(
    lexicon: Lexicon, alphabets: Sequence[Alphabet], segments: Iterable[Segment]
) -> tuple[Pronunciation, ...]:
    """Return the sounds of the words in these segments, in the alphabets that a model takes."""
    sounds = [each for each in lexicon.sounds if each.alphabet in alphabets]
    if not sounds:
        return ()
    # The text may have the word in other letters than the lexicon, so the search finds its number.
    words = word_finder({each.word: str(number) for number, each in enumerate(sounds)})
    numbers: dict[str, int] = {}
    for segment in segments:
        for match in words.find(segment.spoken):
            numbers.setdefault(segment.spoken[match.start : match.end], int(match.spoken))
    return tuple(
        Pronunciation(word, sounds[number].alphabet, sounds[number].sounds)
        for word, number in numbers.items()
    )


def sound_of(word: str, spoken: str) -> Pronunciation | None:
    """Return the sound of an entry: `/…/` is IPA, `(chu3)(li3)` is pinyin. None: its spoken form is words."""
    if (ipa := _IPA.fullmatch(spoken)) is not None:
        return Pronunciation(word, "ipa", ipa[1].strip())
    return Pronunciation(word, "pinyin", spoken) if _PINYIN.fullmatch(spoken) else None


def is_language_tag(name: str) -> bool:
    """Tell whether a name is a language tag. Such a lexicon counts for every text in that language."""
    return _LANGUAGE.fullmatch(name) is not None


def usual_name(name: str) -> str:
    """Return a language tag as people usually write it, and any other name unchanged."""
    return language.canonical_tag(name) if _TAG.fullmatch(name) else name


def name_fault(name: str) -> str | None:
    """Return what a name must be, or None if this name is valid."""
    if name.lower() == NO_LEXICON or not _NAME.fullmatch(name):
        return "a name of 1 to 64 letters, digits, _, . and -, other than none"
    return None


def usual_words(words: Words) -> dict[str, str]:
    """Return entries in the form that is stored and searched: composed letters, no blanks around them."""
    return {_usual_text(word): _usual_text(spoken) for word, spoken in words.items()}


def words_fault(words: Words, most: int = MOST_WORDS, *, is_named: bool = False) -> str | None:
    """Return what entries must be, with the first one that is wrong, or None if all are valid.

    The entry is shown by its number, because its text is the user's. With `is_named`, it is shown by its word
    unless the word itself is wrong: the operator wrote it in a file or a command.
    """
    if len(words) > most:
        return f"at most {most} words; got {len(words)}"
    for number, (word, spoken) in enumerate(words.items(), 1):
        entry = f"entry {number}"
        for text, what, most_characters in (
            (word, "word", MOST_WORD_CHARACTERS),
            (spoken, "spoken form", MOST_SPOKEN_CHARACTERS),
        ):
            usual = _usual_text(text)
            if not 1 <= len(text) <= most_characters or _CONTROL.search(text) or not usual:
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
        # `usual` is of the spoken form. In IPA, stress and length alone are no sound.
        if not any(unicodedata.category(sign) in _SPOKEN_CATEGORIES for sign in usual):
            return f"words with what is said for them; the spoken form of {entry} has no letter or digit"
    return None


def _usual_text(text: str) -> str:
    return " ".join(cleaning.cleaned_text(text).split())
