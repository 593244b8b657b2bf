"""The check of parts that were made, as plans and reports need it: see checked_parts.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from policies.routing import Candidate
from proxy.errors import WRONG_SPEECH, OwnError, RequestFailed
from proxy.speech.part import Part

CheckKind = Literal["heard", "behind"]
"""When a checked part is sent: when it was heard, or for the first part as it comes."""

OnWrong = Literal["send", "fail"]
"""What becomes of a part that stays wrong."""

CheckResult = Literal["right", "unsure", "wrong", "unchecked"]


class WrongWords(msgspec.Struct, frozen=True):
    """Words that were said wrong: their place in the text that was sent, as they should be, as they were
    heard."""

    start: int
    end: int
    wanted: str
    transcribed: str = msgspec.field(name="heard")

    def __repr__(self) -> str:
        return f"<WrongWords {self.start}-{self.end}>"


class PartVerdict(msgspec.Struct, frozen=True):
    """What is thought of a part. `words` are those that are not right; `why` tells why nothing was heard."""

    result: CheckResult
    words: tuple[WrongWords, ...] = ()
    why: str = ""


class WrongSpeech(RequestFailed):
    """502: a sentence was said wrong each time, and the request wants none that is."""

    status, default_code = 502, WRONG_SPEECH
    text = "A sentence was said wrong, and 'on_wrong' is fail."
    should_retry = False


class SpokenWrong(OwnError):
    """A part is wrong, and the request wants none that is."""

    failure = WrongSpeech


class PlanCheck:
    """What the plan of a checked request needs to know. Here nothing can be checked."""

    checks_jobs = False
    """Whether the steps of jobs are checked where nothing else is said."""

    def obstacle(self, candidate: Candidate, language: str) -> str:
        """Return why speech of this candidate cannot be checked, or "" if it can: a word for the answer."""
        del candidate, language
        return "no_ears"

    def at_sentences(self, parts: Sequence[Part], text: str, speed: float) -> Sequence[Part]:
        """Return the parts of a checked plan, cut at their sentences, so that each is heard alone."""
        raise NotImplementedError
