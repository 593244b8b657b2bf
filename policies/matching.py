"""Find voices by a description such as "warm older woman, Thai", ranked and with reasons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from policies import language
from policies.descriptions import VOCABULARY, search_form
from policies.routing import Voice

_WORD = re.compile(r"\w{3,}")
_TAG = re.compile(r"\b([a-z]{2}-[A-Za-z]{2})\b")
_POINTS = {"gender": 3, "language": 3, "age": 2, "quality": 2, "word": 1}
_EXCLUSIVE_KINDS = ("gender", "language")
"""A voice that differs in one of these is no match."""
_AKIN = ({"deep", "low"}, {"calm", "measured"}, {"calm", "slow"})
"""Pairs of alike qualities. If one is wanted, the other counts half."""

SpeaksLanguage = Callable[[Voice, str], bool]
"""Takes a voice and a language. Tells whether an engine speaks the language with the voice."""
MeasuredWords = Callable[[Voice], tuple[str, ...]]
"""Takes a voice. Returns words for what was measured of its sound, such as low and quick."""


class Match(msgspec.Struct, frozen=True):
    """A voice, how well it fits the description (0 to 1), and the traits that fit."""

    voice: Voice
    score: float
    reasons: tuple[str, ...]


class _Trait(NamedTuple):
    """One trait of a voice. `kind` is gender, age, language, quality, or word for any other word."""

    kind: str
    value: str


def match_voices(
    description: str,
    voices: Iterable[Voice],
    speaks: SpeaksLanguage | None = None,
    measured: MeasuredWords = lambda _: (),
) -> list[Match]:
    """Return the voices that fit, the best first. If two fit equally, their ids decide.

    With `speaks`, a voice whose engines refuse the language does not fit. A voice without a language fits
    half as well in any language that its engines speak.
    """
    traits = _described_traits(description)
    most_points = sum(_POINTS[trait.kind] for trait in traits)
    matches = []
    for voice in voices:
        points = _points(traits, voice, speaks, measured(voice))
        if total := sum(points.values()):
            reasons = tuple(f"{trait.kind}: {trait.value}" for trait in points if points[trait])
            matches.append(Match(voice, round(total / most_points, 2), reasons))
    return sorted(matches, key=lambda each: (-each.score, each.voice.id))


def _described_traits(description: str) -> list[_Trait]:
    """Return the traits of a description. "British English" is one trait, not two."""
    traits = _traits_in(description)
    tags = {trait.value for trait in traits if trait.kind == "language"}
    general = {language.base_tag(tag) for tag in tags if tag != language.base_tag(tag)}
    return [trait for trait in traits if trait.kind != "language" or trait.value not in general]


def _points(
    traits: Iterable[_Trait], voice: Voice, speaks: SpeaksLanguage | None, measured: tuple[str, ...]
) -> dict[_Trait, float]:
    """Return the points of the voice for each requested trait, or nothing if the voice is known to differ."""
    known = _voice_traits(voice) | {_Trait("quality", word) for word in measured}
    tags = [trait for trait in traits if trait.kind == "language"]
    spoken = [trait for trait in tags if speaks is None or speaks(voice, trait.value)]
    if tags and not spoken:
        return {}
    if speaks is not None and not any(other.kind == "language" for other in known):
        half_likeness = dict.fromkeys(spoken, 0.5)
    else:
        half_likeness = {}
    points: dict[_Trait, float] = {}
    for trait in traits:
        likeness = (_likeness(trait, other) for other in known if other.kind == trait.kind)
        part = max(likeness, default=half_likeness.get(trait, 0.0))
        points[trait] = part * _POINTS[trait.kind]
    for kind in _EXCLUSIVE_KINDS:
        of_kind = [points[trait] for trait in points if trait.kind == kind]
        if of_kind and not any(of_kind) and any(other.kind == kind for other in known):
            return {}
    return points


def _likeness(described: _Trait, trait: _Trait) -> float:
    if described.kind != "language":
        return 1.0 if described == trait else 0.5 if {described.value, trait.value} in _AKIN else 0.0
    if described.value.lower() in (trait.value.lower(), language.base_tag(trait.value)):
        return 1.0
    # The request is Brazilian Portuguese, and the voice speaks some other Portuguese.
    return 0.5 if language.base_tag(described.value) == language.base_tag(trait.value) else 0.0


@lru_cache(maxsize=8192)
def _voice_traits(voice: Voice) -> frozenset[_Trait]:
    """Return the traits from a voice's fields, and those of other kinds from its name and description."""
    from_text = _traits_in(" ".join((voice.name, voice.description, *voice.tags)))
    from_fields = _traits_in(voice.age or "")
    if voice.gender:
        from_fields.append(_Trait("gender", voice.gender.lower()))
    if voice.language:
        from_fields.append(_Trait("language", voice.language))
    kinds = {trait.kind for trait in from_fields}
    return frozenset((*from_fields, *(trait for trait in from_text if trait.kind not in kinds)))


def _traits_in(text: str) -> list[_Trait]:
    """Return the traits that a text names, in order, each once."""
    traits = [_Trait("language", language.canonical_tag(tag)) for tag in _TAG.findall(text)]
    cleaned = search_form(_TAG.sub(" ", text))
    rest, at = [], 0
    for word in VOCABULARY.find(cleaned):
        rest.append(cleaned[at : word.start])
        at = word.end
        traits += [_Trait(*meaning.split(":", 1)) for meaning in word.spoken.split()]
    rest.append(cleaned[at:])
    traits += [_Trait("word", word) for word in _WORD.findall(" ".join(rest))]
    return list(dict.fromkeys(traits))
