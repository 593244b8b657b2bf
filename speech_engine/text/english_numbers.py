"""Numbers in English words, as Americans and the British say them: up to 999 trillion."""

from __future__ import annotations

_SMALL = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def american(number: int) -> str:
    return _cardinal(number, "")


def british(number: int) -> str:
    return _cardinal(number, "and ")


def _cardinal(number: int, and_: str) -> str:
    words = []
    for size, name in _SCALES:
        count, number = divmod(number, size)
        if count:
            words.append(f"{_cardinal(count, and_)} {name}")
    hundreds, tens = divmod(number, 100)
    if hundreds:
        words.append(f"{_SMALL[hundreds]} hundred")
    if tens or not words:
        words.append(f"{and_}{_below_hundred(tens)}" if words else _below_hundred(tens))
    return " ".join(words)


def _below_hundred(number: int) -> str:
    if number < 20:
        return _SMALL[number]
    tens, ones = divmod(number, 10)
    return f"{_TENS[tens]}-{_SMALL[ones]}" if ones else _TENS[tens]


def ordinal_of(cardinal: str) -> str:
    """Return the ordinal. Only the last word of a number changes: `twenty-one`, `twenty-first`."""
    at = max(cardinal.rfind(" "), cardinal.rfind("-")) + 1
    last = cardinal[at:]
    if last in _ORDINALS:
        return cardinal[:at] + _ORDINALS[last]
    return f"{cardinal[:-1]}ieth" if cardinal.endswith("y") else f"{cardinal}th"


def year(number: int, cardinal: str) -> str:
    """Return a year in two halves (`twenty twenty-six`).

    If it has no two halves, return the cardinal (`two thousand five`).
    """
    century, rest = divmod(number, 100)
    if not 10 <= century <= 20 or (century % 10 == 0 and rest < 10):
        return cardinal
    if not rest:
        return f"{_below_hundred(century)} hundred"
    return f"{_below_hundred(century)} {'oh ' if rest < 10 else ''}{_below_hundred(rest)}"


def plural(number: str) -> str:
    """Return the plural of a decade: `nineties`."""
    return f"{number[:-1]}ies" if number.endswith("y") else f"{number}s"
