"""The language of a text and of each of its sentences, by the script of its letters or by a detector."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Literal, NamedTuple

import msgspec

DEFAULT_TAG = "en"

Detect = Callable[[str, str], Sequence[str]]
"""Takes a text and the language that most texts are in. Returns the likely tags, the likeliest first, or none
if it is unsure. `RankingDetector.rank` is one."""

Source = Literal["request", "voice", "script", "detected", "default"]

_LEAST_SHARE = 0.3
"""The least share of a script in the letters of a text, so that it decides the language."""

_SCRIPTS = (
    (0x0370, 0x03FF, "el"),
    (0x0400, 0x052F, "ru"),
    (0x0530, 0x058F, "hy"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x06FF, "ar"),
    (0x0900, 0x097F, "hi"),
    (0x0980, 0x09FF, "bn"),
    (0x0B80, 0x0BFF, "ta"),
    (0x0C00, 0x0C7F, "te"),
    (0x0E00, 0x0E7F, "th"),
    (0x10A0, 0x10FF, "ka"),
    (0x1100, 0x11FF, "ko"),
    (0x3040, 0x30FF, "ja"),
    (0x3400, 0x4DBF, "zh"),
    (0x4E00, 0x9FFF, "zh"),
    (0xAC00, 0xD7A3, "ko"),
    (0x20000, 0x2FA1F, "zh"),
)
_SCRIPT_STARTS = [first for first, _, _ in _SCRIPTS]
_FIRST_OF_SCRIPTS = chr(_SCRIPT_STARTS[0])
SCRIPT_LANGUAGES = frozenset(language for _, _, language in _SCRIPTS)

_OTHERS_IN_SCRIPT = {
    "ru": frozenset(("be", "bg", "kk", "ky", "mk", "mn", "sr", "tg", "uk")),
    "ar": frozenset(("fa", "ps", "sd", "ug", "ur")),
    "hi": frozenset(("mr", "ne")),
    "bn": frozenset(("as",)),
    "he": frozenset(("yi",)),
}
"""Other languages in the same script. The other scripts need no detector."""

_NEVER_LATIN = (SCRIPT_LANGUAGES | frozenset[str]().union(*_OTHERS_IN_SCRIPT.values())) - {"sr"}
"""Languages that are never written in Latin letters. Serbian is written in both scripts."""

_ALSO_HAN = frozenset(("ja", "ko"))
"""Other languages with Han letters. A Japanese sentence may have no kana, and a detector only guesses at a
few letters."""

_DETECTED_LENGTH = 2000
_ADDRESS = re.compile(r"(?:https?://|www\.)[!-~]*|[\w.+-]{1,64}@[\w.-]+")
_MAY_HAVE_ADDRESS = re.compile(r"://|www\.|@")
_OPENING = re.compile(r"(?<=\s)\S*$")
_LATIN = re.compile("[A-Za-zªºÀ-\u036f\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uff21-\uff5a]")

_FEWEST_WORDS = 3
"""A sentence with fewer words has the language of the sentence before, such as "Ciao, Maria." in an English
text."""

_PHRASE_LETTERS = {"th": 15, "zh": 8, "ja": 10}
"""The fewest letters of a phrase in a script without spaces. Fewer may be a name or a quoted word."""

# A region has two letters, a script four.
_CASES: dict[int, Callable[[str], str]] = {2: str.upper, 4: str.title}


class LanguageChoice(msgspec.Struct, frozen=True):
    """The language of a text, and how it was found. Only a request, a voice or the default name a region."""

    tag: str
    source: Source


class LanguageSpan(NamedTuple):
    """A sentence, or a phrase of one in another script, and the language to speak it in."""

    start: int
    end: int
    tag: str


def tag_matches(tag: str, sought: str) -> bool:
    """Tell whether tags are equal, or one is the base of the other: `pt` and `pt-BR`, in both orders."""
    tag, sought = tag.casefold(), sought.casefold()
    return tag == sought or tag == sought.partition("-")[0] or tag.partition("-")[0] == sought


@lru_cache(1024)
def base_tag(tag: str) -> str:
    """Return the base language of a tag: `pt` for `pt-BR`."""
    return tag.split("-", 1)[0].lower()


def canonical_tag(tag: str) -> str:
    """Return a tag as people usually write it: `PT-br` → `pt-BR`, `zh-hant-tw` → `zh-Hant-TW`."""
    first, *rest = tag.split("-")
    return "-".join((first.lower(), *(_CASES.get(len(part), str.lower)(part) for part in rest)))


def language_of_script(text: str) -> str | None:
    """Return the language of the script that has most letters, and at least 30 %. Any kana is Japanese.

    An English sentence that quotes one Thai word stays English. If several languages share the script, the
    answer is the one with most speakers. A request can name another one.
    """
    if not text or max(text) < _FIRST_OF_SCRIPTS:
        return None
    counts: Counter[str | None] = Counter(
        _language_of_letter(ord(character)) for character in text if character.isalpha()
    )
    letters = counts.total()
    if counts["ja"]:
        counts["ja"] += counts.pop("zh", 0)
    del counts[None]
    if not counts:
        return None
    # Han letters stand in Korean and Japanese texts too. Names decide a tie, so that order does not matter.
    count, _, language = max((count, tag != "zh", tag or "") for tag, count in counts.items())
    return language if count >= letters * _LEAST_SHARE else None


def _language_of_letter(point: int) -> str | None:
    first, last, language = _SCRIPTS[bisect_right(_SCRIPT_STARTS, point) - 1]
    return language if first <= point <= last else None


def alternative_languages(
    choice: LanguageChoice, text: str, detect: Detect | None = None, default: str = DEFAULT_TAG
) -> Iterator[LanguageChoice]:
    """Yield the other languages that a text may have, the likeliest first, if no model speaks `choice`.

    The last one for a text in Latin letters is the default, and for a script of several languages the one
    that most people speak. There are none unless `choice` was detected, and none for mixed letters.
    """
    if choice.source != "detected":
        return
    prose = _ADDRESS.sub(" ", text)
    script = language_of_script(prose)
    if script is None and not _is_mostly_latin(prose):
        return
    last = LanguageChoice(default, "default") if script is None else LanguageChoice(script, "script")
    tags = dict.fromkeys(_detected_languages(prose, script, detect, default))
    others = [LanguageChoice(tag, "detected") for tag in tags]
    yield from (each for each in [*others, last] if each.tag != choice.tag)


def language_of_text(
    text: str, detect: Detect | None = None, default_tag: str = DEFAULT_TAG
) -> LanguageChoice:
    """Return the language of a text by its script, or else by the detector, or else the default. Web and mail
    addresses do not count. If it is the base language of `default_tag`, it has its region, too."""
    # The search for addresses costs more than all the rest, and few texts have any.
    prose = _ADDRESS.sub(" ", text) if _MAY_HAVE_ADDRESS.search(text) else text
    script = None if prose.isascii() else language_of_script(prose)
    if script and script not in _OTHERS_IN_SCRIPT:
        return LanguageChoice(_with_region(script, default_tag), "script")
    if guesses := _detected_languages(prose, script, detect, default_tag):
        return LanguageChoice(guesses[0], "detected")
    if script and base_tag(default_tag) not in _OTHERS_IN_SCRIPT[script]:
        return LanguageChoice(_with_region(script, default_tag), "script")
    return LanguageChoice(default_tag, "default")


def _detected_languages(prose: str, script: str | None, detect: Detect | None, default_tag: str) -> list[str]:
    """Return the detected languages that are written in this script, or, without one, in Latin letters."""
    default_base, found = base_tag(default_tag), []
    for guess in detect(prose[:_DETECTED_LENGTH], default_base) if detect is not None else ():
        tag = base_tag(guess)
        if tag == script or (tag in _OTHERS_IN_SCRIPT[script] if script else tag not in _NEVER_LATIN):
            found.append(default_tag if tag == default_base else tag)
    return found


def _with_region(tag: str, default_tag: str) -> str:
    return default_tag if base_tag(default_tag) == tag else tag


def _is_mostly_latin(prose: str) -> bool:
    if prose.isascii():
        return True
    letters = [character for character in prose if character.isalpha()]
    return sum(_LATIN.match(letter) is not None for letter in letters) * 2 >= len(letters)


def sentence_languages(
    text: str, ends: Iterable[int], whole: str, detect: Detect | None = None, default: str = DEFAULT_TAG
) -> tuple[LanguageSpan, ...]:
    """Return the language of each sentence. `ends` are their ends, `whole` is the language of the text.

    A short sentence, or one of which the detector is not sure, has the language of the sentence before, or of
    the text. Latin letters after another script have the last language that was written in them. A phrase in
    another script is a span of its own; a name or a quoted word is not. The spans cover the text. If a span
    has the base language of the text, it has its region, too.
    """
    spans: list[LanguageSpan] = []
    latin_tag, scripted_tag = whole if base_tag(whole) not in _NEVER_LATIN else default, whole
    for start, end in pairwise(sorted({0, *ends, len(text)})):
        cuts = [start + cut for cut in _phrase_starts(text[start:end])]
        for first, last in pairwise((start, *cuts, end)):
            before = spans[-1].tag if spans else whole
            # After a cut, the phrase before is in another script: its language says nothing about this one.
            is_latin = _is_latin(text[first:last])
            tag = _tag_of(text[first:last], detect, latin_tag if cuts or is_latin else before, scripted_tag)
            tag = whole if tag == base_tag(whole) else tag
            spans.append(LanguageSpan(first, last, tag))
            latin_tag = tag if base_tag(tag) not in _NEVER_LATIN else latin_tag
            scripted_tag = tag if is_latin is False else scripted_tag
    return tuple(spans)


def _tag_of(sentence: str, detect: Detect | None, default_tag: str, scripted_tag: str) -> str:
    """Return the tag of one sentence. `scripted_tag` is the last language that was not in Latin letters."""
    words = sum(any(map(str.isalpha, word)) for word in sentence.split())
    choice = language_of_text(sentence, detect if words >= _FEWEST_WORDS else None, default_tag)
    could_be = _ALSO_HAN if base_tag(choice.tag) == "zh" else _OTHERS_IN_SCRIPT.get(base_tag(choice.tag), ())
    return scripted_tag if choice.source == "script" and base_tag(scripted_tag) in could_be else choice.tag


def _is_latin(text: str) -> bool | None:
    """Tell whether all letters are Latin; None if there are no letters."""
    if max(text) < _FIRST_OF_SCRIPTS:
        return any(map(str.isalpha, text)) or None
    scripts = [_language_of_letter(ord(character)) for character in text if character.isalpha()]
    return not any(scripts) if scripts else None


def _phrase_starts(sentence: str) -> Iterator[int]:
    """Find the places in a sentence where a phrase in another script begins."""
    if not sentence or max(sentence) < _FIRST_OF_SCRIPTS:
        return
    phrase: str | None = ""
    end_before = 0
    for script, first, end in _script_runs(sentence):
        if _is_phrase(script, sentence[first:end]):
            if phrase not in ("", script):
                # An opening quote or bracket belongs to the phrase; the space before it does not.
                opening = _OPENING.search(sentence[end_before:first])
                yield first - len(opening[0]) if opening else first
            phrase = script
        end_before = end


def _script_runs(sentence: str) -> Iterator[tuple[str | None, int, int]]:
    """Find the runs of letters in one script: the language, the first letter, and the end of the last."""
    letters = [
        (at, _language_of_letter(ord(character)))
        for at, character in enumerate(sentence)
        if character.isalpha()
    ]
    if any(script == "ja" for _, script in letters):
        letters = [(at, "ja" if script == "zh" else script) for at, script in letters]
    for script, run in groupby(letters, key=lambda letter: letter[1]):
        places = [at for at, _ in run]
        yield script, places[0], places[-1] + 1


def _is_phrase(script: str | None, run: str) -> bool:
    fewest = _PHRASE_LETTERS.get(script or "")
    if fewest:
        return sum(map(str.isalpha, run)) >= fewest
    words = [word for word in run.split() if any(map(str.isalpha, word))]
    # Names and titles are mostly capitals: "iPhone 15 Pro Max", "The Lord of the Rings".
    plain = sum(word == word.lower() for word in words)
    return len(words) >= _FEWEST_WORDS and plain * 2 > len(words)
