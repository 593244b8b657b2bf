"""The verdicts on the checked parts of an answer, and the report on them for its client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from proxy.ledger.charges import MakeRows
from proxy.speech.part_check import CheckKind, PartVerdict, WrongWords
from proxy.speech.planning import SpeechPlan
from proxy.storage.usage import CheckSums
from speech_engine.redacted import Redacted


class CheckReport(Redacted, msgspec.Struct, frozen=True):
    """The report on a checked answer: the seconds that were heard and those that were not, and the number of
    sentences that were said again. `wrong` and `unsure` are the words that stayed so, and `free_s` are the
    seconds that cost nothing for that reason. `why` names the obstacles to a check."""

    checked_s: float
    unchecked_s: float
    again: int
    free_s: float
    wrong: tuple[WrongWords, ...] = ()
    unsure: tuple[WrongWords, ...] | UnsetType = UNSET
    why: str | UnsetType = UNSET

    @property
    def sums(self) -> CheckSums:
        return CheckSums(self.checked_s, self.unchecked_s, self.again, len(self.wrong), self.free_s)

    def without_start(self, characters: int) -> CheckReport:
        """Return the report on a text without so many characters at its beginning."""
        wrong, unsure = (
            tuple([replace(word, start=word.start - characters, end=word.end - characters) for word in each])
            for each in (self.wrong, self.unsure or ())
        )
        return replace(self, wrong=wrong, unsure=unsure or UNSET)


class CheckTotals:
    """The verdicts on the parts of an answer, by their numbers.

    Wrong parts get into `free_parts` if a feature's `claim_free` grants their seconds. `make_rows` is that of
    `Spent`, however the answer ends. `lengths_s` are 0 until a part is made.
    """

    def __init__(self, plan: SpeechPlan) -> None:
        self.kind: CheckKind | None = plan.check
        self.obstacle = plan.obstacle
        self.claim_free: Callable[[float], Awaitable[bool]] | None = None
        self.free_parts: set[int] = set()
        self.again = 0
        self.make_rows: MakeRows | None = None
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

    def report(self, parts_s: Mapping[int, float], *, is_stored: bool) -> CheckReport:
        """Return the report of parts of these lengths. A stored answer was right when it was stored."""
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
