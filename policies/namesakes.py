"""The assignment of well-known names to an engine's voices: each name gets its own voice if possible."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from policies import language
from speech_engine import ANY_LANGUAGE, VoiceInfo

_WORD = re.compile(r"[a-z]+")
_GENDERS = ("female", "male")
"""A voice without one of these genders may be of any gender."""

Names = Mapping[str, str | None]
"""The names in their order, each with its gender if it has one."""


class Share(msgspec.Struct, frozen=True):
    """The voice behind a name in texts of one language, whose tag is in small letters.

    If no voice of this language has the gender of the name, `other_gender` is the voice's gender.
    """

    language: str
    name: str
    voice: str
    other_gender: str = ""

    @property
    def is_of_gender(self) -> bool:
        return not self.other_gender


def share(names: Names, voices: Sequence[VoiceInfo]) -> dict[str, tuple[Share, ...]]:
    """Return the shares of each name, one for each language and each region that the voices are for.

    A name goes to its namesake, or to a voice of its gender, of the region if there is one, else of the
    language. Earlier names and earlier voices come first. The region of a language's first voice has no share
    of its own: a name keeps its speaker in `en` and in `en-US`.
    """
    voices = [voice for voice in voices if voice.shares_names]
    shares: dict[str, list[Share]] = {name: [] for name in names}
    spoken = [(voice.language or ANY_LANGUAGE).lower() for voice in voices]
    first_regions = {language.base(tag): tag for tag in reversed(spoken)}.values()
    bases = [language.base(tag) for tag in spoken]
    regions = [tag for tag in spoken if tag not in first_regions]
    for tag in dict.fromkeys((*regions, *bases)):
        for name, found in _Sharing(tag, names, voices).share().items():
            shares[name].append(found)
    return {name: tuple(found) for name, found in shares.items() if found}


def find(shares: Sequence[Share], tag: str) -> Share | None:
    """Return the share for the region of a text, or else for its language. None: no voice speaks it."""
    by_language = {each.language: each for each in shares}
    exact = by_language.get(tag.lower()) or by_language.get(language.base(tag))
    return exact or by_language.get(ANY_LANGUAGE)


class _Sharing:
    """The sharing in one region or language. `near` are the voices of the region, `all` of the language."""

    def __init__(self, tag: str, names: Names, voices: Sequence[VoiceInfo]) -> None:
        self._tag = tag
        self._names = names
        self._all = [voice for voice in voices if _speaks(voice, language.base(tag))]
        self._near = [voice for voice in self._all if _speaks(voice, tag)]
        # A voice of no gender may be of any.
        self._genders = {voice.id: _gender(voice) or "" for voice in self._all}
        self._bearers: dict[str, list[str]] = {voice.id: [] for voice in self._all}
        self._found: dict[str, Share] = {}

    def share(self) -> dict[str, Share]:
        for name in self._names:
            own = _namesake(name, self._near)
            if own is not None and not self._bearers[own]:
                self._give(name, own)
        pools = {name: self._pool(gender) for name, gender in self._names.items() if name not in self._found}
        for name, pool in pools.items():
            if (free := next((voice for voice in pool if not self._bearers[voice]), None)) is not None:
                self._give(name, free)
        # The other names become aliases, spread evenly. Names of a gender that no voice has come last.
        near = [voice.id for voice in self._near]
        for name, pool in sorted(pools.items(), key=lambda each: not each[1]):
            if name not in self._found:
                borne = pool or [id_ for id_ in near if self._bearers[id_]] or near
                voice = min(borne, key=lambda each: len(self._bearers[each]))
                self._give(name, voice, "" if pool else self._genders[voice])
        return self._found

    def _give(self, name: str, voice: str, other_gender: str = "") -> None:
        self._found[name] = Share(self._tag, name, voice, other_gender)
        self._bearers[voice].append(name)

    def _pool(self, gender: str | None) -> list[str]:
        """Return the voices of a gender, or else the voices without a gender."""
        if gender is None:
            return [voice.id for voice in self._near]
        for sought in (gender.lower(), None):
            for voices in (self._near, self._all):
                if of_it := [voice.id for voice in voices if _gender(voice) == sought]:
                    return of_it
        return []


def _speaks(voice: VoiceInfo, tag: str) -> bool:
    return voice.language is None or tag in (voice.language.lower(), language.base(voice.language))


def _gender(voice: VoiceInfo) -> str | None:
    return gender if (gender := (voice.gender or "").lower()) in _GENDERS else None


def _namesake(name: str, voices: Sequence[VoiceInfo]) -> str | None:
    """Return the voice that has the name, or a name such as `af_nova`."""
    exact = next((voice.id for voice in voices if voice.id.lower() == name), None)
    return exact or next((voice.id for voice in voices if name in _WORD.findall(voice.id.lower())), None)
