"""The readings of English words: numbers and signs as words, and contractions in full.

A reading is written without blanks, as transcripts are compared. Only readings that are certain are here.
British spellings and times as a recogniser writes them are for two whole texts alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from speech_engine.text.english_numbers import american, british, ordinal_of, plural, year

_DIGITS = [american(digit) for digit in range(10)]
_ENDINGS = ("st", "nd", "rd", "th")
_SIGNS = {
    "%": ("percent",),
    "&": ("and",),
    "+": ("plus",),
    "=": ("equals",),
    "@": ("at",),
    "\u00b0": ("degrees", "degree"),
    "\u2212": ("minus", "negative"),
}
_MONEY = {"$": ("dollar", "dollars"), "\u20ac": ("euro", "euros"), "\u00a3": ("pound", "pounds")}
NUMBER_WORDS = frozenset(
    word
    for number in (*range(100), 100, 1000, 10**6, 10**9)
    for words in (american(number), ordinal_of(american(number)), plural(american(number)))
    for word in re.split("[ -]", words)
)

# British endings and the American ones.
_BRITISH_ENDINGS = (
    (re.compile(r"(?<=..)our(?=(?:s|ed|ing|ful|ite|able|ably|hood|less)?$)"), "or"),
    (re.compile(r"(?<=..)([iy])s(?=(?:e|es|ed|er|ers|ing|ation|ations)$)"), r"\1z"),
    (re.compile(r"(?<=..)([tb])re(s?)$"), r"\1er\2"),
    (re.compile(r"(?<=.)ogue(?=s?$)"), "og"),
    (re.compile(r"(?<=....)ll(?=(?:ed|ing|er|ers)$)"), "l"),
    (re.compile(r"^(def|off|lic|pret)ence"), r"\1ense"),
    (re.compile(r"^(gr)ey"), r"\1ay"),
    (re.compile(r"^(program)me(?=s?$)"), r"\1"),
    (re.compile(r"^(judge?)e(?=ment)"), r"\1"),
)
_LEAST_BRITISH_LENGTH = 4

_CLOCK_TIME = re.compile(
    r"\b(1[0-2]|0?[1-9])(?:[.:]?([0-5][0-9])(\s?[ap]\.?\s?m\b)"
    r"|\.([0-5][0-9])(?= (?:in the (?:morn|after|even)|at night|to [0-9.:]+ ?[ap]\.?m\b)))",
    re.IGNORECASE,
)

_WHOLE_CONTRACTIONS = {"can't": ("cannot",), "won't": ("willnot",), "shan't": ("shallnot",)}
_CONTRACTED_ENDINGS = (
    ("n't", ("not",)),
    ("'m", ("am",)),
    ("'re", ("are",)),
    ("'ve", ("have",)),
    ("'ll", ("will",)),
    ("'d", ("would", "had")),
    ("'s", ("is", "has")),
)


def is_english(language: str) -> bool:
    return language.partition("-")[0].lower() == "en"


def american_spelling(word: str) -> str:
    """Return a word with American endings. A word that both spell alike may become no word:
    both texts are changed before they are compared."""
    for british_, american_ in _BRITISH_ENDINGS if len(word) >= _LEAST_BRITISH_LENGTH else ():
        word = british_.sub(american_, word)
    return word


def times_written(transcript: str) -> str:
    """Return a recogniser's text with its times as people write them: of "4.05 am" and "405am", "4:05 am".

    A front-end then reads them as times.
    """
    return _CLOCK_TIME.sub(lambda time: f"{time[1]}:{time[2] or time[4]}{time[3] or ''}", transcript)


def readings(tokens: Sequence[str], *, contractions: bool) -> list[tuple[str, ...]]:
    """Return the ways to read each word, its own letters first. Two words that are read as one are joined."""
    found: list[tuple[str, ...]] = []
    at = 0
    while at < len(tokens):
        token, next_ = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        if token in _MONEY and next_.isdigit():
            unit = _MONEY[token][int(next_) != 1]
            found.append((token + next_, *(f"{number}{unit}" for number in _readings_of_number(next_))))
            at += 2
        elif token.isdigit() and next_ in _ENDINGS:
            found.append((token + next_, *_ordinals(token)))
            at += 2
        else:
            found.append(_readings_of_word(token, contractions=contractions))
            at += 1
    return found


def _readings_of_word(token: str, *, contractions: bool) -> tuple[str, ...]:
    if token[0].isdigit():
        return tuple(dict.fromkeys(_readings_of_number(token)))
    if token in _SIGNS:
        return (token, *_SIGNS[token])
    return (token, *_uncontracted(token)) if contractions else (token,)


def _uncontracted(token: str) -> tuple[str, ...]:
    if token in _WHOLE_CONTRACTIONS:
        return _WHOLE_CONTRACTIONS[token]
    for end, words in _CONTRACTED_ENDINGS:
        if token.endswith(end) and token != end:
            return tuple(token.removesuffix(end) + word for word in words)
    return ()


def _readings_of_number(token: str) -> Iterator[str]:
    yield token
    groups = token.partition(".")[0].split(",")
    if len(groups) > 1 and (len(groups[0]) > 3 or any(len(group) != 3 for group in groups[1:])):
        return
    plain = token.replace(",", "")
    yield plain
    whole, point, decimals = plain.partition(".")
    # A leading zero is read aloud: a time, a date, a telephone.
    if "." in decimals or len(whole) > 12 or (len(whole) > 1 and whole[0] == "0"):
        return
    after = f"point{''.join(_DIGITS[int(digit)] for digit in decimals)}" if point else ""
    for words in _cardinals(int(whole)):
        yield _joined(words) + after
    # Years in two halves. Not for the eleventh century.
    if not after and len(token) == 4 and 1100 <= int(whole) < 2100:
        yield _joined(year(int(whole), american(int(whole))))


def _cardinals(number: int) -> tuple[str, ...]:
    """Return a number in words: as Americans say it, and with the British "and"."""
    return tuple(dict.fromkeys((american(number), british(number))))


def _ordinals(token: str) -> Iterator[str]:
    if token[0] != "0" and len(token) <= 9:
        yield from (_joined(ordinal_of(words)) for words in _cardinals(int(token)))


def _joined(words: str) -> str:
    return words.replace(" ", "").replace("-", "")
