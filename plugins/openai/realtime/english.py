"""The readings of English words: numbers and signs as words, and contractions in full.

A reading is written without blanks, as transcripts are compared. Only readings that are certain are here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((1_000_000_000, "billion"), (1_000_000, "million"), (1_000, "thousand"))
_MOST = 10**12
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth"}
_ORDINALS |= {"nine": "ninth", "twelve": "twelfth"}
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
    """Yield a number as it is written, without commas, and in words."""
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
    after = f"point{''.join(_SMALL[int(digit)] for digit in decimals)}" if point else ""
    for words in _cardinals(int(whole)):
        yield words + after
    if not after and len(token) == 4:
        yield from _years(int(whole))


def _cardinals(number: int) -> tuple[str, ...]:
    """Return a number in words: as Americans say it, and with the British "and"."""
    return tuple(dict.fromkeys(_in_words(number, link) for link in ("", "and")))


def _in_words(number: int, link: str) -> str:
    if number >= _MOST:
        return str(number)
    words = ""
    for size, name in _SCALES:
        if number >= size:
            words += f"{_in_words(number // size, link)}{name}"
            number %= size
    if number >= 100:
        words += f"{_SMALL[number // 100]}hundred"
        number %= 100
    if number == 0 and words:
        return words
    words += link if words else ""
    if number < 20:
        return words + _SMALL[number]
    return words + _TENS[number // 10] + (_SMALL[number % 10] if number % 10 else "")


def _years(number: int) -> Iterator[str]:
    century, rest = divmod(number, 100)
    if not 11 <= century <= 20 or (century == 20 and rest < 10):
        return
    head = _in_words(century, "")
    if rest == 0:
        yield f"{head}hundred"
    elif rest < 10:
        yield f"{head}oh{_SMALL[rest]}"
    else:
        yield head + _in_words(rest, "")


def _ordinals(token: str) -> Iterator[str]:
    if token[0] == "0" or len(token) > 9:
        return
    for words in _cardinals(int(token)):
        last = next((name for name in _ORDINALS if words.endswith(name)), "")
        if last:
            yield words.removesuffix(last) + _ORDINALS[last]
        elif words.endswith("y"):
            yield f"{words[:-1]}ieth"
        else:
            yield f"{words}th"
