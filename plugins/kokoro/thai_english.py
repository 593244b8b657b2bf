"""Says an English word as Thais do: each of espeak-ng's syllables becomes the nearest one of Thai."""

from __future__ import annotations

import re

# fmt: off
_VOWELS = {
    "aɪə": "aːj", "aɪ": "aj", "aʊ": "aw", "eɪ": "eː", "ɔɪ": "ɔːj", "oʊ": "oː", "iə": "ia", "ɪɹ": "ia",
    "ʊɹ": "ua", "ɛɹ": "ɛː", "iː": "iː", "i": "iː", "ɪ": "i", "ᵻ": "i", "uː": "uː", "u": "u", "ʊ": "u",
    "ɜː": "ɤː", "ɚ": "ɤː", "ə": "a", "ɐ": "a", "ʌ": "a", "æ": "ɛː", "ɛ": "e", "e": "e", "ɑː": "aː", "ɑ": "aː",
    "a": "aː", "ɔː": "ɔː", "ɔ": "ɔː", "oː": "ɔː", "ɒ": "ɔ", "o": "oː",
}
_INITIALS = {
    "tʃ": "ʨʰ", "dʒ": "ʨ", "p": "pʰ", "t": "tʰ", "k": "kʰ", "b": "b", "d": "d", "ɡ": "k", "f": "f", "v": "w",
    "θ": "tʰ", "ð": "d", "s": "s", "z": "s", "ʃ": "ʨʰ", "ʒ": "ʨʰ", "h": "h", "m": "m", "n": "n", "ŋ": "ŋ",
    "l": "l", "ɹ": "r", "r": "r", "ɾ": "t", "j": "j", "w": "w", "ʔ": "t", "x": "kʰ",
}
_FINALS = {
    "tʃ": "t", "dʒ": "t", "p": "p", "t": "t", "k": "k", "b": "p", "d": "t", "ɡ": "k", "f": "p", "v": "p",
    "θ": "t", "ð": "t", "s": "t", "z": "t", "ʃ": "t", "ʒ": "t", "m": "m", "n": "n", "ŋ": "ŋ", "l": "n",
    "ɾ": "t", "ʔ": "t", "x": "k",
}
# fmt: on
_VOWEL, _CONSONANT = ("|".join(sorted(sounds, key=len, reverse=True)) for sounds in (_VOWELS, _INITIALS))
_BEGINS = f"ˈ?(?:{_VOWEL})"
_SYLLABLE = re.compile(
    # An s before another consonant becomes a syllable of its own, and two consonants stay together if Thai
    # has them. A last consonant is one that no vowel follows.
    rf"(?P<s>s(?=[ptkmnfl]))?(?P<onset>[ptkbdɡf](?=[lɹw])|{_CONSONANT})?(?P<second>(?<=[ptkbdɡf])[lɹw])?"
    rf"(?P<glide>j)?(?P<stress>ˈ)?(?P<vowel>{_VOWEL})"
    rf"(?P<coda>(?:(?!(?:[ptkbdɡf][lɹw]|[^ˈ]j){_BEGINS})(?:{_CONSONANT})(?!{_BEGINS}))*)"
)


def thai_sounds(english: str) -> str:
    """Return the sounds of a word, or "" if it has no vowel. `english` are espeak-ng's."""
    found = [*_SYLLABLE.finditer(english)]
    stressed = max((number for number, each in enumerate(found) if each["stress"]), default=0)
    last = len(found) - 1
    return ".".join(
        _syllable(each.groupdict(default=""), number == last, stressed < number == last)
        for number, each in enumerate(found)
    )


def _syllable(parts: dict[str, str], is_last: bool, is_weak_end: bool) -> str:
    sound = _VOWELS[parts["vowel"]]
    if parts["glide"] and sound[0] == "u":
        sound = "iw"
    first = _INITIALS.get(parts["onset"], "ʔ")
    first = (first.removesuffix("ʰ") if parts["s"] else first) + _INITIALS.get(parts["second"], "")
    finals = [_FINALS[each] for each in re.findall(_CONSONANT, parts["coda"]) if each in _FINALS]
    final = "" if sound[-1] in "jw" else "".join(finals[:1])
    is_short = not final and len(sound) == 1
    if final in ("p", "t", "k"):
        tone = "↑" if is_last else "↓"
    else:
        tone = "↓" if is_short else "↘" if is_weak_end else "→"
    return ("sa↓." if parts["s"] else "") + first + sound + final + tone
