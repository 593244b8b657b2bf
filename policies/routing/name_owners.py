"""Whose voice a voice is, among OpenAI's names: the decisions say who really speaks each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

import speech_engine
from policies.routing.decision import Decision
from policies.routing.values import Candidate, Voice, voice_text

_Spoken = tuple[str, speech_engine.Voice]


class NameOwners(msgspec.Struct, frozen=True):
    """The names that own the engines' voices, for the callers and texts of the decisions they are made of.

    In `first` is the first name that really speaks with a voice, in `later` the first that would if others
    fail. A voice of another gender than a name is not the name's own.
    """

    first: Mapping[_Spoken, str]
    later: Mapping[_Spoken, str]

    def tell(self, decision: Decision) -> Decision:
        """Return a decision whose candidates say of which name they are aliases."""
        candidates = tuple([self._named(decision.voice, each) for each in decision.candidates])
        return msgspec.structs.replace(decision, candidates=candidates)

    def _named(self, voice: Voice, candidate: Candidate) -> Candidate:
        if candidate.share is None:
            return candidate
        return msgspec.structs.replace(candidate, alias_of=self._alias_of(voice, candidate))

    def _alias_of(self, voice: Voice, candidate: Candidate) -> str:
        """Return whose voice it is: another name, the voice itself if it is no name's, or "" for its own."""
        share, spoken = candidate.share, (candidate.model.engine, candidate.voice)
        own = ("", voice.id, share.name if share else "")
        owner = self.first.get(spoken, "")
        if owner:
            return "" if owner in own else owner
        is_own = (share is None or share.is_of_gender) and self.later.get(spoken, "") in own
        return "" if is_own else voice_text(candidate.voice)


def find_owners(decisions: Iterable[Decision]) -> NameOwners:
    """Return who owns which voice. The decisions are on all names, in their order."""
    first: dict[_Spoken, str] = {}
    later: dict[_Spoken, str] = {}
    for decision in decisions:
        for number, candidate in enumerate(decision.candidates):
            if candidate.share is None or candidate.share.is_of_gender:
                owned = later if number else first
                owned.setdefault((candidate.model.engine, candidate.voice), decision.voice.id)
    return NameOwners(first, later)
