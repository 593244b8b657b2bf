"""A plugin's answer to the voices' names that clients have from OpenAI: alloy, nova, onyx, …"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

StandsIn = Literal["", "same_speaker", "same_gender", "other_gender"]


class KnownName(msgspec.Struct, frozen=True):
    """The voice that an engine has for a name. `tags` are words for how it sounds, as in `VoiceInfo`.

    If it `stands_in`, it speaks where the engines before it are away or late. `same_speaker` is the speaker
    that they have for this name. An answer announces the others.
    """

    voice: str
    tags: tuple[str, ...] = ()
    stands_in: StandsIn = ""


Names = Mapping[str, KnownName] | Literal["shared"]
"""The engine's own voice behind each name that it knows. Or "shared": the server shares the engine's listed
voices among all names, by their languages and genders."""


def no_names(_settings: Any) -> Names:
    """An engine knows none of the names, and speaks only with its own voices."""
    return {}


def share_voices(_settings: Any) -> Names:
    """The server shares the engine's voices among the names."""
    return "shared"


def as_they_are(ids: Iterable[str]) -> Names:
    """The engine takes the names that are ids of its voices."""
    return {id_: KnownName(id_) for id_ in ids}
