"""What an engine's plugin knows of the voices' names that clients have from OpenAI: alloy, nova, onyx, …"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec


class KnownName(msgspec.Struct, frozen=True):
    """The voice that an engine has for a name. `tags` are words for how it sounds, as in `VoiceInfo`."""

    voice: str
    tags: tuple[str, ...] = ()


Names = Mapping[str, KnownName] | Literal["shared"]
"""The engine's own voice behind each name that it knows. Or "shared": the server shares the engine's listed
voices among all names, by their languages and genders."""


def no_names(_settings: Any) -> Names:
    """Say that an engine knows none of the names: it speaks with voices of its own alone."""
    return {}


def share_voices(_settings: Any) -> Names:
    """Say that the server is to share the engine's voices among the names."""
    return "shared"


def as_they_are(ids: Iterable[str]) -> Names:
    """Say that an engine takes names as they are, those among its voices' ids."""
    return {id_: KnownName(id_) for id_ in ids}
