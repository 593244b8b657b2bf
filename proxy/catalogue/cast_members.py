"""Find the members of a cast. Each one is a single voice, by the name that the cast gives."""

from __future__ import annotations

from collections.abc import Iterable

from policies.routing import Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary
from proxy.errors import InvalidRequest


def resolve_members(
    catalogue: Catalogue,
    cast: Iterable[tuple[str, str]],
    own: AccountLibrary,
    field: str,
    saved: Voice | None = None,
) -> dict[str, Voice]:
    """Return the voice of each member. Raises InvalidRequest.

    `own` has the account's voices. `saved` is the voice that has this cast, if one is saved already. If
    `field` ends in a dot, an error names the field and the member.
    """
    members: dict[str, Voice] = {}
    for name, voice_name in cast:
        param = f"{field}{name}" if field.endswith(".") else field
        try:
            voice = catalogue.resolve_voice(voice_name, own.members(saved))
        except InvalidRequest as error:
            if voice_name not in own.voices:
                raise InvalidRequest(error.message, param=param, code=error.code) from None
            voice = own.voices[voice_name]
        if voice.cast:
            raise InvalidRequest(
                f"Invalid value for '{param}': '{voice_name[:80]}' is a cast itself; name one voice.",
                param=param,
            )
        members[name] = voice
    return members
