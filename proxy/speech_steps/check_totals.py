"""The verdicts on the checked parts of an answer, and the report on them for its client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Literal

import msgspec
from msgspec import UNSET

from proxy.errors import WRONG_SPEECH, OwnError, RequestFailed
from proxy.speech.answer_check import AnswerCheck, CheckReport
from proxy.speech.part_check import CheckKind, WrongWords
from proxy.speech.planning import SpeechPlan

CheckResult = Literal["right", "unsure", "wrong", "unchecked"]


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


class CheckTotals(AnswerCheck):
    """The verdicts on the parts of an answer, by their numbers.

    Wrong parts get into `free_parts` if a feature's `claim_free` grants their seconds.
    """

    def __init__(self, plan: SpeechPlan) -> None:
        self.kind: CheckKind | None = plan.check
        self.obstacle = plan.obstacle
        self.claim_free: Callable[[float], Awaitable[bool]] | None = None
        self.free_parts = set()
        self.again = 0
        self.make_rows = None
        self.lengths_s = [0.0 for _ in plan.parts]
        self._pauses_s = [part.pause_s for part in plan.parts]
        self.verdicts: dict[int, PartVerdict] = {}

    @property
    def is_all_right(self) -> bool:
        return all(verdict.result == "right" for verdict in self.verdicts.values())

    def note_verdict(self, part: int, verdict: PartVerdict, length_s: float) -> None:
        self.verdicts[part] = verdict
        self.lengths_s[part] = length_s

    async def free(self, parts: Iterable[int]) -> None:
        """Make those of the parts free that are made: all of them, or none."""
        made = [part for part in parts if self.lengths_s[part] and part not in self.free_parts]
        # The silence after a part is charged with it.
        seconds = sum([self.lengths_s[part] + self._pauses_s[part] for part in made])
        if made and self.claim_free and await self.claim_free(seconds):
            self.free_parts.update(made)

    def report_parts(self, parts_s: Mapping[int, float], *, is_stored: bool) -> CheckReport:
        checked = [each for each in parts_s if is_stored or self._verdict_of(each).result != "unchecked"]
        checked_s = sum([parts_s[number] for number in checked])
        words = {result: self._words(parts_s, result) for result in ("wrong", "unsure")}
        reasons = dict.fromkeys([self._verdict_of(number).why for number in parts_s if number not in checked])
        return CheckReport(
            checked_s=round(checked_s, 3),
            unchecked_s=round(sum(parts_s.values()) - checked_s, 3),
            again=self.again,
            free_s=round(sum([parts_s[number] for number in self.free_parts if number in parts_s]), 3),
            wrong=words["wrong"],
            unsure=words["unsure"] or UNSET,
            why=", ".join(filter(None, reasons)) or UNSET,
        )

    def _verdict_of(self, number: int) -> PartVerdict:
        return self.verdicts.get(number) or PartVerdict("unchecked", (), self.obstacle)

    def _words(self, parts_s: Mapping[int, float], result: str) -> tuple[WrongWords, ...]:
        verdicts = [self._verdict_of(number) for number in parts_s]
        return tuple([word for each in verdicts if each.result == result for word in each.words])
