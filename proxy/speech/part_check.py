"""The values of checks, and what the planner asks about checks. The checks themselves: checked_parts.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from policies.routing import Candidate
from proxy.errors import WRONG_SPEECH, OwnError, RequestFailed
from proxy.speech.part import Part

CheckKind = Literal["heard", "behind"]
"""When a checked part is sent. `heard`: after its check. `behind`: the first part is sent as it comes."""

OnWrong = Literal["send", "fail"]
"""Whether a part that stays wrong is sent, or fails its answer."""

CheckResult = Literal["right", "unsure", "wrong", "unchecked"]


class WrongWords(msgspec.Struct, frozen=True):
    """Words that were said wrong: their place in the sent text, the wanted words, and those that were
    heard."""

    start: int
    end: int
    wanted: str
    transcribed: str = msgspec.field(name="heard")

    def __repr__(self) -> str:
        return f"<WrongWords {self.start}-{self.end}>"


class PartVerdict(msgspec.Struct, frozen=True):
    """The verdict on a part. `words` are the wrong or unsure ones. `why` tells why the part was not heard."""

    result: CheckResult
    words: tuple[WrongWords, ...] = ()
    why: str = ""


class WrongSpeech(RequestFailed):
    """502: a sentence was said wrong each time, and the request refuses wrong sentences."""

    status, default_code = 502, WRONG_SPEECH
    text = "A sentence was said wrong, and 'on_wrong' is fail."
    should_retry = False


class SpokenWrong(OwnError):
    """A part is wrong, and the request refuses wrong parts."""

    failure = WrongSpeech


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
