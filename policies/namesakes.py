"""The assignment of OpenAI's names to the voices of one engine: each name gets its own voice if possible."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from policies import language
from speech_engine import ANY_LANGUAGE, VoiceInfo

_WORD = re.compile(r"[a-z]+")
_GENDERS = ("female", "male")
"""A voice with no gender, or another one, may be of any gender."""

Names = Mapping[str, str | None]
"""The names in their order, each with its gender if it has one."""


class NameShare(msgspec.Struct, frozen=True):
    """The engine's voice that speaks for a name in texts of one language, whose tag is in lower case.

    If no voice of this language has the gender of the name, `other_gender` is the voice's gender, else "".
    """

    language: str
    name: str
    voice: str
    other_gender: str = ""

    @property
    def is_of_gender(self) -> bool:
        return not self.other_gender


def share_names(names: Names, voices: Sequence[VoiceInfo]) -> dict[str, tuple[NameShare, ...]]:
    """Return the shares of each name, one for each language and each region that the voices are for.

    A name gets the voice that has this name, or else a voice of its gender: one of the region if there is
    one, else one of the language. Earlier names and earlier voices come first. The region of a language's
    first voice has no share of its own, so that a name has the same speaker in `en` and in `en-US`.
    """
    voices = [voice for voice in voices if voice.shares_names]
    shares: dict[str, list[NameShare]] = {name: [] for name in names}
    spoken = [(voice.language or ANY_LANGUAGE).lower() for voice in voices]
    first_regions = {language.base_tag(tag): tag for tag in reversed(spoken)}.values()
    bases = [language.base_tag(tag) for tag in spoken]
    regions = [tag for tag in spoken if tag not in first_regions]
    for tag in dict.fromkeys((*regions, *bases)):
        for name, share in _Assignment(tag, names, voices).assign().items():
            shares[name].append(share)
    return {name: tuple(of_name) for name, of_name in shares.items() if of_name}


def find_share(shares: Sequence[NameShare], tag: str) -> NameShare | None:
    """Return the share for the region of a text, or else for its language, or None if no voice speaks it."""
    by_language = {each.language: each for each in shares}
    exact = by_language.get(tag.lower()) or by_language.get(language.base_tag(tag))
    return exact or by_language.get(ANY_LANGUAGE)


class _Assignment:
    """The assignment in one region or language. A voice bears the names that it speaks for."""

    def __init__(self, tag: str, names: Names, voices: Sequence[VoiceInfo]) -> None:
        self._tag = tag
        self._names = names
        self._of_language = [voice for voice in voices if _is_for_language(voice, language.base_tag(tag))]
        self._of_region = [voice for voice in self._of_language if _is_for_language(voice, tag)]
        self._genders = {voice.id: _gender(voice) or "" for voice in self._of_language}
        self._borne_names: dict[str, list[str]] = {voice.id: [] for voice in self._of_language}
        self._shares: dict[str, NameShare] = {}

    def assign(self) -> dict[str, NameShare]:
        for name in self._names:
            namesake = _namesake(name, self._of_region)
            if namesake is not None and not self._borne_names[namesake]:
                self._assign_voice(name, namesake)
        suitable = {
            name: self._suitable_voices(gender)
            for name, gender in self._names.items()
            if name not in self._shares
        }
        for name, voices in suitable.items():
            if (free := next((voice for voice in voices if not self._borne_names[voice]), None)) is not None:
                self._assign_voice(name, free)
        # The other names become aliases, spread evenly. Names of a gender that no voice has come last.
        of_region = [voice.id for voice in self._of_region]
        for name, voices in sorted(suitable.items(), key=lambda each: not each[1]):
            if name not in self._shares:
                choices = voices or [id_ for id_ in of_region if self._borne_names[id_]] or of_region
                voice = min(choices, key=lambda each: len(self._borne_names[each]))
                self._assign_voice(name, voice, "" if voices else self._genders[voice])
        return self._shares

    def _assign_voice(self, name: str, voice: str, other_gender: str = "") -> None:
        self._shares[name] = NameShare(self._tag, name, voice, other_gender)
        self._borne_names[voice].append(name)

    def _suitable_voices(self, gender: str | None) -> list[str]:
        """Return the voices of a gender, or else the voices that may be of any gender. Those of the region
        come before those of the language. Without a gender, return the voices of the region."""
        if gender is None:
            return [voice.id for voice in self._of_region]
        for sought in (gender.lower(), None):
            for voices in (self._of_region, self._of_language):
                if suitable := [voice.id for voice in voices if _gender(voice) == sought]:
                    return suitable
        return []


def _is_for_language(voice: VoiceInfo, tag: str) -> bool:
    return voice.language is None or tag in (voice.language.lower(), language.base_tag(voice.language))


def _gender(voice: VoiceInfo) -> str | None:
    return gender if (gender := (voice.gender or "").lower()) in _GENDERS else None


def _namesake(name: str, voices: Sequence[VoiceInfo]) -> str | None:
    """Return the voice whose id is the name, or contains it as a word, such as `af_nova`."""
    exact = next((voice.id for voice in voices if voice.id.lower() == name), None)
    return exact or next((voice.id for voice in voices if name in _WORD.findall(voice.id.lower())), None)
