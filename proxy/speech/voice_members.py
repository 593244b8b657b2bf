"""The voices that a request names. `proxy/speech_steps/cast_members.py` finds those of casts and mixes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from policies.mixing import WeightedVoice
from policies.routing import Voice
from proxy.catalogue.catalogue import Catalogue
from proxy.catalogue.library import AccountLibrary
from proxy.errors import InvalidRequest


class VoiceMembers:
    """Finds voices. This class refuses casts and mixes. InvalidRequest names the field."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def voice_or_mix(self, name: str, own: AccountLibrary) -> Voice:
        """Return the voice of a request by its id or name. Raises InvalidRequest and UpstreamFailed."""
        voice = self._catalogue.resolve_voice(name, own.voices)
        return self.unsaved_mix(voice.mix, own, "voice") if voice.mix else voice

    def unsaved_mix(self, members: Sequence[WeightedVoice], own: AccountLibrary, field: str) -> Voice:
        """Return a mix that a request has. Raises InvalidRequest."""
        raise _only_single_voices()

    def members_of(
        self, cast: Iterable[tuple[str, str]], own: AccountLibrary, field: str, saved: Voice | None = None
    ) -> dict[str, Voice]:
        """Return each member's voice. `cast` has pairs of a member and a voice's name. Raises InvalidRequest.

        `own` has the account's voices. `saved` is the saved voice that has this cast, None for that of a
        request. If the field ends in a dot, the name of the member is added to it.
        """
        raise _only_single_voices()


def _only_single_voices() -> InvalidRequest:
    return InvalidRequest("This server has no casts and no mixes.", param="voice", code="feature_off")
