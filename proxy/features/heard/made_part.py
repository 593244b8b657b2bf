"""A part that was made, with all that its check needs."""

from __future__ import annotations

from typing import NamedTuple

from policies.routing import Candidate
from proxy.speech.part import Part
from proxy.speech_steps.check_totals import CheckResult, PartVerdict
from proxy.speech_steps.word_times import WordPositions
from speech_engine import SpeechJob

RESULTS: tuple[CheckResult, ...] = ("right", "unchecked", "unsure", "wrong")
"""From the best to the worst."""

UNHEARD = PartVerdict("unchecked", (), "late")


class MadePart(NamedTuple):
    """A part that a candidate has made, as 16-bit mono PCM at `rate_hz`.

    It is the try number `again` of its `part`, from 0 on. The job has its text as it should be heard, and
    `places` leads from there to the text that was sent. A verdict after `within_s` is
    of no use. `is_idle` is true for a part of a job, for which no listener waits. If the answer `goes_whole`,
    its ears are waited for, as those of a job are.
    """

    account: str
    part: Part
    again: int
    candidate: Candidate
    job: SpeechJob
    places: WordPositions
    pcm: bytes
    rate_hz: int
    within_s: float
    is_idle: bool
    goes_whole: bool = False

    def __repr__(self) -> str:
        return f"<MadePart of {self.length_s:.1f} s by {self.candidate.speaker}>"

    @property
    def length_s(self) -> float:
        return len(self.pcm) / (2 * self.rate_hz)
