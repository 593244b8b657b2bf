"""Reads Thai words that the dictionary lacks, by the rules of the script.

A syllable is an initial, a vowel form around it, a tone mark and a final. The class of the initial, the mark,
and whether the syllable is short or ends in a stop decide the tone. A word is read in the fewest syllables.
"""

from __future__ import annotations

import re
from functools import cache

_SOUNDS = (
    *(("t͡ɕʰ", "ʨʰ"), ("t͡ɕ", "ʨ"), ("˩˩˦", "↗"), ("˥˩", "↘"), ("˦˥", "↑"), ("˨˩", "↓"), ("˧", "→")),
    *(("\u031a", ""), ("\u032f", ""), ("\u0361", ""), ("/", ""), ("g", "ɡ")),
)
"""The signs of the dictionary, and those of the network."""

_HIGH, _LOW = "ขฃฉฐถผฝศษสห", "คฅฆงชซฌญฑฒณทธนพฟภมยรลวฬฮ"


def _by_letter(*groups: tuple[str, str]) -> dict[str, str]:
    return {letter: sound for letters, sound in groups for letter in letters}


# fmt: off
_INITIALS = _by_letter(
    ("ก", "k"), ("ขฃคฅฆ", "kʰ"), ("ง", "ŋ"), ("จ", "ʨ"), ("ฉชฌ", "ʨʰ"), ("ซศษส", "s"), ("ญย", "j"),
    ("ฎด", "d"), ("ฏต", "t"), ("ฐฑฒถทธ", "tʰ"), ("ณน", "n"), ("บ", "b"), ("ป", "p"), ("ผพภ", "pʰ"),
    ("ฝฟ", "f"), ("ม", "m"), ("ร", "r"), ("ลฬ", "l"), ("ว", "w"), ("หฮ", "h"), ("อ", "ʔ"),
)
_FINALS = _by_letter(
    ("กขคฆ", "k"), ("จชซฌฎฏฐฑฒดตถทธศษส", "t"), ("บปพฟภ", "p"), ("ง", "ŋ"), ("ณนญรลฬ", "n"), ("ม", "m"),
    ("ย", "j"), ("ว", "w"),
)
# fmt: on
_STOPS = ("k", "t", "p", "ʔ")
_MARKS = "่้๊๋"
_SHORT = {"ɔː": "ɔ", "ɛː": "ɛ", "eː": "e"}
"""Vowels that a mark makes short before some finals."""

_PARTS = {
    "C": "(?P<onset>[กขคตปผพดบฟท]ร(?!ร)|[กขคปผพบฟ]ล|[กขค]ว|ห[งญณนมยรลว]|[จซศส]ร(?!ร)|อย(?=[ู่]า?)|[ก-ฮ])",
    "K": "(?P<onset>[กขคตปผพดบฟท]ร|[กขคปผพบฟ]ล|[ขค]ว)",
    "T": f"(?P<mark>[{_MARKS}]?)",
    # A letter before the final may be silent, and so may one behind it.
    "F": f"(?:[รลห]์|ร(?=[ตถทธ][ิุ]?$))?(?P<final>[{''.join(_FINALS)}])"
    "(?:(?<=[กชตทดพ])ร$|(?<=[ลทนษศส])ย$|(?<=ษ)ฐ$|(?<=ท)ธ$|(?<=ก)ษ$|(?<=[ณญ])[ฑช]$|[ิุ]$)?",
}
_TAIL = "(?P<tail>[กขคชซดตทธพศษส]?[ก-ฮ][ิุ]?์)?(?![ะ-ฺ็-๎])"
# fmt: off
_FORMS = (
    ("เCีTยะ", "ia", "ʔ"), ("เCีTยF", "ia", ""), ("เCีTย", "ia", ""), ("เCืTอF", "ɯa", ""), ("เCืTอ", "ɯa", ""),
    ("CัTวะ", "ua", "ʔ"), ("CัTว", "ua", ""), ("CTวF", "ua", ""), ("เCTาะ", "ɔ", "ʔ"), ("เCTา", "a", "w"),
    ("เCTอะ", "ɤ", "ʔ"), ("เCTอF", "ɤː", ""), ("เCTอ", "ɤː", ""), ("เCิTF", "ɤː", ""), ("เCTย", "ɤː", "j"),
    ("เCT็F", "e", ""), ("แCT็F", "ɛ", ""), ("เCTะ", "e", "ʔ"), ("แCTะ", "ɛ", "ʔ"), ("โCTะ", "o", "ʔ"),
    ("แKT", "ɛː", ""), ("เCTF", "eː", ""), ("แCTF", "ɛː", ""), ("โCTF", "oː", ""), ("เCT", "eː", ""),
    ("แCT", "ɛː", ""), ("โCT", "oː", ""), ("ไCTย", "a", "j"), ("[ไใ]CT", "a", "j"), ("CTรรF", "a", ""),
    ("CTรร", "a", "n"), ("CTำ", "a", "m"), ("C็อTF", "ɔ", ""), ("CัTF", "a", ""), ("CTอF", "ɔː", ""),
    ("CTอ", "ɔː", ""), ("CTาF", "aː", ""), ("CTา", "aː", ""), ("CTะ", "a", "ʔ"), ("CิTF", "i", ""),
    ("CีTF", "iː", ""), ("CึTF", "ɯ", ""), ("CืTF", "ɯː", ""), ("CุTF", "u", ""), ("CูTF", "uː", ""),
    ("CิT", "i", "ʔ"), ("CีT", "iː", ""), ("CึT", "ɯ", "ʔ"), ("CืTอ?", "ɯː", ""), ("CุT", "u", "ʔ"),
    ("CูT", "uː", ""), ("CTร", "ɔː", "n"), ("CTF", "o", ""), ("CT็", "ɔ", "ʔ"),
)
"""The vowel forms, with the vowel and the final that a form without F has. Earlier ones win."""
# fmt: on
_S_FOR_TR = re.compile("[แโไ]?ทร(?:[งวมก]|า[บยมก]|ัพ|ุ|ี)")
"""The native words in which ทร is an s."""
_SPELT = (("(?<=[กตทปศส])ฤ", "ริ"), ("ฤๅ", "รือ"), ("ฤ", "รึ"), ("ฦๅ", "ลือ"), ("ฦ", "ลึ"), ("^([ก-ฮ])$", r"\1อ"))
"""What is read as if it were written so. A letter alone is said by its name."""
_INNER_STOP = re.compile(r"ʔ(?=[→↓↘↑↗]\.)")
"""A short open syllable ends in a stop only at the end of its word."""
_SYLLABLE, _LAST, _LONE, _SILENT = 2, 3, 6, 10
"""The costs of a syllable, of a silent last letter, of a letter with a vowel that is not written, and of any
other silent one."""


def network_sounds(ipa: str) -> str:
    """Return the sounds of the dictionary as the network's alphabet writes them."""
    for old, new in _SOUNDS:
        ipa = ipa.replace(old, new)
    return ipa


def read_word(word: str) -> str:
    """Return the sounds of a word. Signs without a letter are silent."""
    for written, as_if in _SPELT:
        word = re.sub(written, as_if, word)
    ways: list[tuple[int, tuple[str, ...]]] = [(0, ()), *[(_SILENT * len(word) + 1, ())] * len(word)]
    for at, letter in enumerate(word):
        cost, before = ways[at]
        steps = [(at + 1, _LAST if 0 < at == len(word) - 1 else _SILENT, "")]
        if letter in _INITIALS:
            steps.append((at + 1, _LONE, f"{_INITIALS[letter]}aʔ{_tones(letter)[1]}"))
        for pattern, vowel, final in _forms():
            if found := pattern.match(word, at):
                steps.append((found.end(), _SYLLABLE, _syllable(found, vowel, final)))
        for end, more, syllable in steps:
            if cost + more < ways[end][0]:
                ways[end] = cost + more, (*before, syllable)
    return _INNER_STOP.sub("", ".".join(filter(None, ways[-1][1])))


@cache
def _forms() -> tuple[tuple[re.Pattern[str], str, str], ...]:
    return tuple(
        (re.compile("".join(_PARTS.get(part, part) for part in form) + _TAIL), vowel, final)
        for form, vowel, final in _FORMS
    )


def _tones(onset: str) -> str:
    """Return the tones of a live syllable without a mark, of a short and of a long dead one, and with each
    mark."""
    return "↗↓↓↓↘↑↗" if onset[0] in _HIGH else "→↑↘↘↑↑↗" if onset[0] in _LOW else "→↓↓↓↘↑↗"


def _syllable(found: re.Match[str], vowel: str, final: str) -> str:
    parts = found.groupdict(default="")
    onset, mark, letter = parts["onset"], parts["mark"], parts.get("final", "")
    final = _FINALS[letter] if letter else final
    vowel = _length(vowel, mark, final, parts["tail"])
    is_long = "ː" in vowel or (len(vowel) == 2 and final != "ʔ")
    tone = _tones(onset)[3 + _MARKS.index(mark) if mark else (1 + is_long) * (final in _STOPS)]
    # Loans from English are high.
    if tone == "↘" and not mark and vowel in ("iː", "eː", "ɛː") and letter in tuple("คจชทฟ"):
        tone = "↑"
    if onset == "ทร" and _S_FOR_TR.match(found.string, found.start()):
        initial = "s"
    elif len(onset) == 2 and onset[0] in "หอ":
        initial = _INITIALS[onset[1]]
    else:  # ศร and its like are an s
        initial = "".join(_INITIALS[each] for each in (onset[0] if onset[0] in "จซศส" else onset))
    return initial + vowel + final + tone


def _length(vowel: str, mark: str, final: str, tail: str) -> str:
    """Return the vowel as long as it is said: some are short in spite of their form."""
    is_e, ends_n = vowel == "eː", final == "n"
    if is_e and ((ends_n and (mark == "้" or tail[-2:-1] in tuple("ดตทส"))) or (mark == "๊" and final == "k")):
        return "e"
    is_shortened = (mark == "่" or (mark == "๋" and is_e)) and final and final not in _STOPS
    return _SHORT.get(vowel, vowel) if is_shortened and (vowel, final) != ("ɛː", "w") else vowel
