"""The readings of English words: numbers and signs as words, and contractions in full.

A reading is written without blanks, as transcripts are compared. Only readings that are certain are here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from speech_engine.text.english_numbers import american, british, ordinal_of, year

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
_WHOLE = {"can't": ("cannot",), "won't": ("willnot",), "shan't": ("shallnot",)}
_PARTS = (
    ("n't", ("not",)),
    ("'m", ("am",)),
    ("'re", ("are",)),
    ("'ve", ("have",)),
    ("'ll", ("will",)),
    ("'d", ("would", "had")),
    ("'s", ("is", "has")),
)


def readings(tokens: Sequence[str], *, contractions: bool) -> list[tuple[str, ...]]:
    """Return the ways to read each word, its own letters first. Two words that are read as one are joined."""
    found: list[tuple[str, ...]] = []
    at = 0
    while at < len(tokens):
        token, next_ = tokens[at], tokens[at + 1] if at + 1 < len(tokens) else ""
        if token in _MONEY and next_.isdigit():
            unit = _MONEY[token][int(next_) != 1]
            found.append((token + next_, *(f"{number}{unit}" for number in _numbers(next_))))
            at += 2
        elif token.isdigit() and next_ in _ENDINGS:
            found.append((token + next_, *_ordinals(token)))
            at += 2
        else:
            found.append(_options(token, contractions=contractions))
            at += 1
    return found


def _options(token: str, *, contractions: bool) -> tuple[str, ...]:
    if token[0].isdigit():
        return tuple(dict.fromkeys(_numbers(token)))
    if token in _SIGNS:
        return (token, *_SIGNS[token])
    return (token, *_in_full(token)) if contractions else (token,)


def _in_full(token: str) -> tuple[str, ...]:
    if token in _WHOLE:
        return _WHOLE[token]
    for end, words in _PARTS:
        if token.endswith(end) and token != end:
            return tuple(token.removesuffix(end) + word for word in words)
    return ()


def _numbers(token: str) -> Iterator[str]:
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
