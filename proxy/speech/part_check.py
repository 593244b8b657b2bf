"""What requests and the planner know of checks. `proxy/speech_steps/checked_parts.py` has the checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from policies.routing import Candidate
from proxy.speech.part import Part

CheckKind = Literal["heard", "behind"]
"""When a checked part is sent. `heard`: after its check. `behind`: the first part is sent as it comes."""

OnWrong = Literal["send", "fail"]
"""Whether a part that stays wrong is sent, or fails its answer."""


class WrongWords(msgspec.Struct, frozen=True):
    """Words that were said wrong: their place in the sent text, the wanted words, and those that were
    heard."""

    start: int
    end: int
    wanted: str
    transcribed: str = msgspec.field(name="heard")

    def __repr__(self) -> str:
        return f"<WrongWords {self.start}-{self.end}>"


class PlanCheck:
    """Answers what the planner asks about checks. This class can check nothing."""

    checks_jobs = False
    """Whether the steps of jobs are checked, unless a request or a plan decides."""

    def obstacle(self, candidate: Candidate, language: str) -> str:
        """Return why speech of this candidate cannot be checked, or "" if it can: a word for the answer."""
        del candidate, language
        return "no_ears"

    def at_sentences(self, parts: Sequence[Part], text: str, speed: float) -> Sequence[Part]:
        """Return the parts of a checked plan, cut at their sentences, so that each is heard alone."""
        raise NotImplementedError


NO_CHECK = PlanCheck()
