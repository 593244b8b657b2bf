"""Mixes of voices: how they are written, their limits and weights, and the mix as one voice."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from msgspec.structs import replace

from policies.language import base_tag
from policies.routing import Voice

MOST_MIXED = 8
"""The most voices in one mix. Some models take fewer."""
MOST_WEIGHT = 1000.0
_WEIGHT_DIGITS = 6
_WRITTEN = re.compile(r"\s*([^\s()][^()]*?)\s*(?:\(([^()]*)\)\s*)?")

WeightedVoice = tuple[str, float]
"""The id or name of a voice, and its weight."""


def read_mix(name: str) -> tuple[WeightedVoice, ...]:
    """Return the members of a mix that is written as one name: `anna(2)+ben`. Return () for any other name.

    A weight that is no number is NaN, which `mix_fault` refuses.
    """
    written = name.split("+")
    parts = [part for part in map(_WRITTEN.fullmatch, written) if part is not None]
    if len(written) < 2 or len(parts) < len(written):
        return ()
    return tuple((part[1], _number(part[2])) for part in parts)


def _number(weight: str | None) -> float:
    try:
        return 1.0 if weight is None else float(weight)
    except ValueError:
        return math.nan


def mix_fault(members: Sequence[WeightedVoice]) -> str | None:
    """Return what is wrong with a mix, or None."""
    if not 1 <= len(members) <= MOST_MIXED:
        return f"it must have 1 to {MOST_MIXED} voices; it has {len(members)}"
    for name, weight in members:
        if not (math.isfinite(weight) and 0 < weight <= MOST_WEIGHT):
            return f"the weight of '{name[:80]}' must be a number above 0, up to {MOST_WEIGHT:g}"
    for name, share in normalise_weights(members):
        if not share:
            return f"the weight of '{name[:80]}' is too small beside the others; nobody would hear that voice"
    return repeated_voice_fault([name for name, _ in members])


def repeated_voice_fault(voices: Sequence[str]) -> str | None:
    """Return what is wrong with a mix that has a voice twice, or None. A voice has a name and an id, so
    callers check both the names that were sent and the ids."""
    for number, voice in enumerate(voices):
        if voice in voices[:number]:
            return f"it has '{voice[:80]}' twice; give that voice the sum of the weights"
    return None


def normalise_weights(members: Sequence[WeightedVoice]) -> tuple[WeightedVoice, ...]:
    """Return the members with weights that add up to 1, so that equal mixes are equal values."""
    total = sum(weight for _, weight in members)
    return tuple((name, round(weight / total, _WEIGHT_DIGITS)) for name, weight in members)


def mix_voices(voice: Voice, members: Sequence[Voice]) -> Voice:
    """Return the voice of a mix with its members, in their order, as routing needs it.

    Its revision contains their revisions. It has their language and their gender, if these are equal. The
    language of members from several regions is without a region.
    """
    languages = [member.language for member in members]
    revisions = ",".join(f"{member.id}={member.revision}" for member in members)
    return replace(
        voice,
        members=tuple(members),
        mix=tuple((member.id, weight) for member, (_, weight) in zip(members, voice.mix, strict=True)),
        revision=f"{voice.revision}({revisions})",
        language=voice.language
        or _common(languages)
        or _common([each and base_tag(each) for each in languages]),
        gender=voice.gender or _common([member.gender for member in members]),
    )


def mix_id(members: Sequence[WeightedVoice]) -> str:
    """Return the id of an unsaved mix."""
    return "+".join(f"{name}*{weight:g}" for name, weight in members)


def _common(values: Sequence[str | None]) -> str | None:
    return values[0] if len(set(values)) == 1 else None
