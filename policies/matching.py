"""Which voices are meant by a description such as "warm older woman, Thai": ranked, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from policies import language
from policies.descriptions import VOCABULARY, plain
from policies.routing import Voice

_WORD = re.compile(r"\w{3,}")
_TAG = re.compile(r"\b([a-z]{2}-[A-Za-z]{2})\b")
_POINTS = {"gender": 3, "language": 3, "age": 2, "quality": 2, "word": 1}
_ONLY_ONE = ("gender", "language")
"""Who is said to be another one is not meant, however well all else fits."""
_AKIN = ({"deep", "low"},)
"""Qualities that are half of one another."""

Speaks = Callable[[Voice, str], bool]
"""Whether anybody would speak this language with the voice."""


class Match(msgspec.Struct, frozen=True):
    """A voice with how much of what was asked for it is known to be, from 0 to 1, and what that is."""

    voice: Voice
    score: float
    reasons: tuple[str, ...]


class _Trait(NamedTuple):
    """`kind` is gender, age, language, quality, or word for one that has no meaning here."""

    kind: str
    value: str

    @property
    def shown(self) -> str:
        return f"{self.kind}: {self.value}"


def match(description: str, voices: Iterable[Voice], speaks: Speaks | None = None) -> list[Match]:
    """The best first, by id where two are as good; none that has nothing of it. With `speaks`, none whose
    engines refuse the language either, and a voice of no language has a half of any that they speak."""
    wanted = _wished(description)
    most = sum(_POINTS[trait.kind] for trait in wanted)
    matches = []
    for voice in voices:
        found = _found(wanted, voice, speaks)
        if points := sum(found.values()):
            reasons = tuple(trait.shown for trait in found if found[trait])
            matches.append(Match(voice, round(points / most, 2), reasons))
    return sorted(matches, key=lambda each: (-each.score, each.voice.id))


def _wished(description: str) -> list[_Trait]:
    """British English is one wish, not two."""
    traits = _traits(description)
    tags = {trait.value for trait in traits if trait.kind == "language"}
    general = {language.base(tag) for tag in tags if tag != language.base(tag)}
    return [trait for trait in traits if trait.kind != "language" or trait.value not in general]


def _found(wanted: Iterable[_Trait], voice: Voice, speaks: Speaks | None) -> dict[_Trait, float]:
    """What of it the voice has, each with its points; nothing at all where it is another one."""
    known = _known(voice)
    tags = [trait for trait in wanted if trait.kind == "language"]
    spoken = [trait for trait in tags if speaks is None or speaks(voice, trait.value)]
    if tags and not spoken:
        return {}
    if speaks is not None and not any(other.kind == "language" for other in known):
        half = dict.fromkeys(spoken, 0.5)
    else:
        half = {}
    points: dict[_Trait, float] = {}
    for trait in wanted:
        likeness = (_likeness(trait, other) for other in known if other.kind == trait.kind)
        part = max(likeness, default=half.get(trait, 0.0))
        points[trait] = part * _POINTS[trait.kind]
    for kind in _ONLY_ONE:
        asked = [points[trait] for trait in points if trait.kind == kind]
        if asked and not any(asked) and any(other.kind == kind for other in known):
            return {}
    return points


def _likeness(wanted: _Trait, has: _Trait) -> float:
    if wanted.kind != "language":
        return 1.0 if wanted == has else 0.5 if {wanted.value, has.value} in _AKIN else 0.0
    if wanted.value.lower() in (has.value.lower(), language.base(has.value)):
        return 1.0
    # Brazilian was wanted, and this is some Portuguese.
    return 0.5 if language.base(wanted.value) == language.base(has.value) else 0.0


@lru_cache(maxsize=8192)
def _known(voice: Voice) -> frozenset[_Trait]:
    """What is told of a voice outright, and what its name and description say beside."""
    said = _traits(" ".join((voice.name, voice.description, *voice.tags)))
    told = _traits(voice.age or "")
    if voice.gender:
        told.append(_Trait("gender", voice.gender.lower()))
    if voice.language:
        told.append(_Trait("language", voice.language))
    kinds = {trait.kind for trait in told}
    return frozenset((*told, *(trait for trait in said if trait.kind not in kinds)))


def _traits(text: str) -> list[_Trait]:
    """In order, each once."""
    found = [_Trait("language", language.usual(tag)) for tag in _TAG.findall(text)]
    cleaned = plain(_TAG.sub(" ", text))
    rest, at = [], 0
    for word in VOCABULARY.find(cleaned):
        rest.append(cleaned[at : word.start])
        at = word.end
        found += [_Trait(*meaning.split(":", 1)) for meaning in word.spoken.split()]
    rest.append(cleaned[at:])
    found += [_Trait("word", word) for word in _WORD.findall(" ".join(rest))]
    return list(dict.fromkeys(found))
