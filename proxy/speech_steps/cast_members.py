"""Find the members of a cast or a mix. Each one is a voice by its name there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from policies import mixing
from policies.routing import Voice
from proxy.catalogue.library import AccountLibrary
from proxy.errors import InvalidRequest, UpstreamFailed
from proxy.speech.voice_members import VoiceMembers


class CastMembers(VoiceMembers):
    """Finds the voices of requests, and the members of casts and mixes."""

    def members_of(
        self, cast: Iterable[tuple[str, str]], own: AccountLibrary, field: str, saved: Voice | None = None
    ) -> dict[str, Voice]:
        members: dict[str, Voice] = {}
        for name, voice_name in cast:
            param = f"{field}{name}" if field.endswith(".") else field
            try:
                voice = self._catalogue.resolve_voice(voice_name, own.members(saved))
            except InvalidRequest as error:
                if voice_name not in own.voices:
                    raise InvalidRequest(error.message, param=param, code=error.code) from None
                voice = own.voices[voice_name]
            if voice.cast:
                raise InvalidRequest(
                    f"Invalid value for '{param}': '{voice_name[:80]}' is a cast itself; name one voice.",
                    param=param,
                )
            members[name] = self._mixed(voice, own, param)
        return members

    def voice_or_mix(self, name: str, own: AccountLibrary) -> Voice:
        """Return the voice of a request. If there is none, the name may be a written mix."""
        try:
            voice = self._catalogue.resolve_voice(name, own.voices)
        except (InvalidRequest, UpstreamFailed):
            if not (members := mixing.read_mix(name)):
                raise
            if (wrong := mixing.mix_fault(members)) is not None:
                raise InvalidRequest(f"Invalid value for 'voice': {wrong}.", param="voice") from None
            return self.unsaved_mix(mixing.normalise_weights(members), own, "voice")
        return self._mixed(voice, own, "voice")

    def unsaved_mix(self, members: Sequence[mixing.WeightedVoice], own: AccountLibrary, field: str) -> Voice:
        resolved = self._mixed(Voice(id="", name="", mix=tuple(members)), own, field, is_saved=False)
        # Usage stores this id, so it has the ids of voices: a name may be personal data.
        id_ = mixing.mix_id(resolved.mix)
        return replace(resolved, id=id_, name=id_)

    def _mixed(self, voice: Voice, own: AccountLibrary, field: str, *, is_saved: bool = True) -> Voice:
        """Return a voice as routing needs it: a mix with its members, any other voice as it is.

        Raises InvalidRequest, which names the field.
        """
        if not voice.mix:
            return voice
        known = own.members(voice if is_saved else None)
        members: list[Voice] = []
        for name, _ in voice.mix:
            try:
                member = self._catalogue.resolve_voice(name, known)
            except InvalidRequest as error:
                raise InvalidRequest(error.message, param=field, code=error.code) from None
            if member.cast or member.mix:
                kind = "cast" if member.cast else "mix"
                raise InvalidRequest(
                    f"Invalid value for '{field}': '{name[:80]}' is a {kind} itself; mix single voices.",
                    param=field,
                )
            members.append(member)
        check_no_voice_twice([member.id for member in members], field)
        return mixing.mix_voices(voice, members)


def check_no_voice_twice(ids: Sequence[str], field: str) -> None:
    """Raise InvalidRequest, which names the field, if a mix has a voice twice: by its id and by its name."""
    if (wrong := mixing.repeated_voice_fault(ids)) is not None:
        raise InvalidRequest(f"Invalid value for '{field}': {wrong}.", param=field)
