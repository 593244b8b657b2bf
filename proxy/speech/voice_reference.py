"""The `voice` of a speech request: a voice by its name or id, a cast of several, or a mix of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from policies import mixing, text_tags
from proxy.errors import InvalidRequest

ONE_OF = {
    "oneOf": [{"type": "string"}, *({"type": "object", "required": [key]} for key in ("id", "cast", "mix"))]
}
_CAST = {"minProperties": 1, "maxProperties": text_tags.MOST_NAMES}
_WEIGHT = {"exclusiveMinimum": 0, "maximum": mixing.MOST_WEIGHT}
_MIX = {"minItems": 1, "maxItems": mixing.MOST_MIXED}
VoiceName = Annotated[str, Meta(min_length=1, max_length=256)]


class MixMember(msgspec.Struct, frozen=True):
    """A voice of a mix. The weights of a mix count in proportion to one another."""

    id: VoiceName
    weight: Annotated[float, Meta(extra_json_schema=_WEIGHT)] = 1.0


class VoiceReference(msgspec.Struct, frozen=True):
    """One voice by its id; a cast, which has the names in brackets in the input; or a mix."""

    id: VoiceName | UnsetType = UNSET
    cast: Annotated[dict[str, VoiceName], Meta(extra_json_schema=_CAST)] | UnsetType = UNSET
    mix: Annotated[list[MixMember], Meta(extra_json_schema=_MIX)] | UnsetType = UNSET


class SentVoice(msgspec.Struct, frozen=True):
    """What a request names as its voice: one of the three."""

    voice: str = ""
    cast: tuple[tuple[str, str], ...] = ()
    mix: tuple[tuple[str, float], ...] = ()


def sent_voice(sent: VoiceReference) -> SentVoice:
    """Return the voice of a body that is more than a name. Raises InvalidRequest."""
    match (sent.id, sent.cast, sent.mix):
        case (str(id_), msgspec.UNSET, msgspec.UNSET):
            return SentVoice(id_)
        case (msgspec.UNSET, dict(cast), msgspec.UNSET):
            if (wrong := text_tags.cast_fault([*cast])) is not None:
                raise InvalidRequest(f"Invalid value for 'voice.cast': {wrong}.", param="voice.cast")
            return SentVoice(cast=tuple(cast.items()))
        case (msgspec.UNSET, msgspec.UNSET, list(mix)):
            return SentVoice(mix=mix_shares(mix, "voice.mix"))
    raise InvalidRequest("Invalid value for 'voice': it must have one of id, cast and mix.", param="voice")


def mix_shares(sent: Sequence[MixMember], field: str) -> tuple[tuple[str, float], ...]:
    """Check a mix, and return it with weights that add up to 1. Raises InvalidRequest."""
    members = [(member.id, member.weight) for member in sent]
    if (wrong := mixing.fault(members)) is not None:
        raise InvalidRequest(f"Invalid value for '{field}': {wrong}.", param=field)
    return mixing.shares(members)
