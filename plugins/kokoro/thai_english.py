"""Says an English word as Thais do: each of espeak-ng's syllables becomes the nearest one of Thai."""

from __future__ import annotations

import re
from collections.abc import Sequence

# fmt: off
_VOWELS = {
    "aɪə": "aːj", "aɪ": "aj", "aʊ": "aw", "eɪ": "eː", "ɔɪ": "ɔːj", "oʊ": "oː", "iə": "ia", "ɪɹ": "ia",
    "ʊɹ": "ua", "ɛɹ": "ɛː", "iː": "iː", "i": "iː", "ɪ": "i", "ᵻ": "i", "uː": "uː", "u": "u", "ʊ": "u",
    "ɜː": "ɤː", "ɚ": "ɤː", "ə": "a", "ɐ": "a", "ʌ": "a", "æ": "ɛː", "ɛ": "e", "e": "e", "ɑː": "aː",
    "ɑ": "aː", "a": "aː", "ɔː": "ɔː", "ɔ": "ɔː", "oː": "ɔː", "ɒ": "ɔ", "o": "oː",
}
_INITIALS = {
    "tʃ": "ʨʰ", "dʒ": "ʨ", "p": "pʰ", "t": "tʰ", "k": "kʰ", "b": "b", "d": "d", "ɡ": "k", "f": "f",
    "v": "w", "θ": "tʰ", "ð": "d", "s": "s", "z": "s", "ʃ": "ʨʰ", "ʒ": "ʨʰ", "h": "h", "m": "m", "n": "n",
    "ŋ": "ŋ", "l": "l", "ɹ": "r", "r": "r", "ɾ": "t", "j": "j", "w": "w", "ʔ": "t", "x": "kʰ",
}
_FINALS = {
    "tʃ": "t", "dʒ": "t", "p": "p", "t": "t", "k": "k", "b": "p", "d": "t", "ɡ": "k", "f": "p", "v": "p",
    "θ": "t", "ð": "t", "s": "t", "z": "t", "ʃ": "t", "ʒ": "t", "m": "m", "n": "n", "ŋ": "ŋ", "l": "n",
    "ɾ": "t", "ʔ": "t", "x": "k",
}
# fmt: on
_STRESS, _LONE_S = "ˈ", "sa"
_SOUND = re.compile("|".join(sorted((*_VOWELS, *_INITIALS, _STRESS), key=len, reverse=True)))
_CLUSTER = re.compile("[ptkbdɡf][ɹr]|[pkbɡf]l|[kɡ]w|.[jw]")
_BEFORE_S = {"p": "p", "t": "t", "k": "k"}


def thai_sounds(english: str) -> str:
    """Return the sounds of a word, or "" if nothing of it can be said. `english` are espeak-ng's."""
    syllables: list[str] = []
    onset, between, vowel = list[str](), list[str](), ""
    is_stressed, last_stressed = False, 0
    for sound in [*_SOUND.findall(english), ""]:
        if sound == _STRESS:
            is_stressed = True
        elif sound in _INITIALS:
            between.append(sound)
        else:  # a vowel, or the end
            coda, following = _divided(between) if sound else (between, [])
            if vowel:
                syllables += _syllable(onset, vowel, coda)
                onset = following
            else:
                onset = between
            if is_stressed and sound:
                # An s before it may become one more.
                is_stressed, last_stressed = False, len(syllables)
            vowel, between = sound, []
    if not syllables:
        syllables = [f"{_INITIALS[consonant]}a" for consonant in onset]
    last = len(syllables) - 1
    is_weak_end = last_stressed + _is_split(syllables[last_stressed:]) < last
    return ".".join(
        body + _tone(body, number == last, number == last and is_weak_end)
        for number, body in enumerate(syllables)
    )


def _is_split(syllables: Sequence[str]) -> bool:
    """Tell whether the first syllable is only the s of the second one."""
    return len(syllables) > 1 and syllables[0] == _LONE_S


def _divided(between: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return which consonants end a syllable and which begin the next one."""
    begins = 2 if len(between) > 1 and _CLUSTER.fullmatch("".join(between[-2:])) else 1
    at = max(0, len(between) - begins)
    return list(between[:at]), list(between[at:])


def _syllable(onset: Sequence[str], vowel: str, coda: Sequence[str]) -> list[str]:
    """Return a syllable, behind one of its own for an s before another consonant."""
    said, before = list(onset), []
    initials: dict[str, str] = _INITIALS
    if len(said) > 1 and said[0] == "s" and said[1] not in "wj":
        before, said, initials = [_LONE_S], said[1:], {**_INITIALS, **_BEFORE_S}
    sound = _VOWELS[vowel]
    if said[-1:] == ["j"] and len(said) > 1:
        said, sound = said[:-1], "iw" if sound in ("uː", "u") else sound
    first = "".join(initials[each] for each in said[:2]) if len(said) > 1 and said[1] in "lɹrw" else ""
    if not first:
        first = initials[said[0]] if said else "ʔ"
    final = next((_FINALS[each] for each in coda if each in _FINALS), "")
    return [*before, first + sound + ("" if sound[-1] in "jw" else final)]


def _tone(body: str, is_last: bool, is_weak_end: bool) -> str:
    if body[-1] in "ptk":
        return "↑" if is_last else "↓"
    if body[-1] in "aiueɔ" and body[-2:] not in ("ia", "ua"):
        return "↓"
    return "↘" if is_weak_end else "→"
