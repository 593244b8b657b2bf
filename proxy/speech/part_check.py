"""The seam of the check of made parts: a feature hears whether a part says its text."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from policies.routing import Candidate
from proxy.speech.word_times import WordPositions
from speech_engine import SpeechJob

CheckKind = Literal["heard", "behind"]
"""When a checked part is sent: when it was heard, or for the first part as it comes."""

CheckResult = Literal["right", "unsure", "wrong", "unchecked"]
RESULTS: tuple[CheckResult, ...] = ("right", "unchecked", "unsure", "wrong")
"""From the best one to the worst one."""


class WrongWords(msgspec.Struct, frozen=True):
    """Words that were said wrong: their place in the text that was sent, as they should be, as they were
    heard."""

    start: int
    end: int
    wanted: str
    heard: str

    def __repr__(self) -> str:
        return f"<WrongWords {self.start}-{self.end}>"


class PartVerdict(msgspec.Struct, frozen=True):
    """What is thought of a part. `words` are those that are not right; `why` tells why nothing was heard."""

    result: CheckResult
    words: tuple[WrongWords, ...] = ()
    why: str = ""


UNHEARD = PartVerdict("unchecked", (), "late")


class MadePart(NamedTuple):
    """A part that a candidate has made, as 16-bit mono PCM at `rate_hz`.

    The job has its text as it should be heard, and `places` leads from there to the text that was sent. What
    is not heard `within_s` is of no use. Nobody waits for a part of a job that is `idle`.
    """

    account: str
    candidate: Candidate
    job: SpeechJob
    places: WordPositions
    pcm: bytes
    rate_hz: int
    within_s: float
    is_idle: bool

    def __repr__(self) -> str:
        return f"<MadePart of {self.length_s:.1f} s by {self.candidate.speaker}>"

    @property
    def length_s(self) -> float:
        return len(self.pcm) / (2 * self.rate_hz)


class NoPartCheck:
    """The check of a server that hears nothing. A feature shares a subclass of it."""

    is_paid_again = False
    """Whether a provider that bills a text when it gets it is asked for the same one again."""

    checks_jobs = False
    """Whether the steps of jobs are checked where nothing else is said."""

    def obstacle(self, candidate: Candidate, language: str) -> str:
        """Return why speech of this candidate cannot be checked, or "" if it can: a word for the answer."""
        del candidate, language
        return "no_ears"

    async def hear(self, made: MadePart) -> PartVerdict:
        """Hear a made part. It never raises an EngineError, and returns by the end of its time."""
        del made
        return UNHEARD
