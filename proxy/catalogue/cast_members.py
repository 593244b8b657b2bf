"""Who the members of a cast are: single voices, each found by what the cast calls it."""

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
    """`own` has the account's voices, `saved` is the voice that the cast belongs to, if there is one yet.
    Raises InvalidRequest; `field` ends in a dot where the name of the member belongs to it."""
    members: dict[str, Voice] = {}
    for name, wanted in cast:
        param = f"{field}{name}" if field.endswith(".") else field
        try:
            voice = catalogue.resolve_voice(wanted, own.members(saved))
        except InvalidRequest as error:
            if wanted not in own.voices:
                raise InvalidRequest(error.message, param=param, code=error.code) from None
            voice = own.voices[wanted]
        if voice.cast:
            raise InvalidRequest(
                f"Invalid value for '{param}': '{wanted[:80]}' is a cast itself; name one voice.",
                param=param,
            )
        members[name] = voice
    return members
