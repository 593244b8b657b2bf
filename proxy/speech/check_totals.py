"""The verdicts on the checked parts of an answer, and the report on them for its client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

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


FREE_ROOM_S = 0.0
"""The seconds of an answer that may be free, unless a feature finds more for its account."""


class CheckTotals:
    """The verdicts on the parts of an answer, by their numbers.

    A wrong part gets into `free_parts` while `free_room_s` is left. `make_rows` returns the rows that a
    feature commits with the settlement, however the answer ends. `lengths_s` are 0 until a part is made.
    """

    def __init__(self, plan: SpeechPlan) -> None:
        self.kind: CheckKind | None = plan.check
        self.obstacle = plan.obstacle
        self.free_room_s = FREE_ROOM_S
        self.free_parts: set[int] = set()
        self.again = 0
        self.make_rows: Callable[[], Iterable[msgspec.Struct]] = tuple
        self.lengths_s = [0.0 for _ in plan.parts]
        self._pauses_s = [part.pause_s for part in plan.parts]
        self.verdicts: dict[int, PartVerdict] = {}

    @property
    def is_all_right(self) -> bool:
        return all(verdict.result == "right" for verdict in self.verdicts.values())

    def note_verdict(self, part: int, verdict: PartVerdict, length_s: float) -> None:
        self.verdicts[part] = verdict
        self.lengths_s[part] = length_s
        # The silence after a part is charged with it.
        free_s = length_s + self._pauses_s[part]
        if verdict.result == "wrong" and free_s <= self.free_room_s:
            self.free_room_s -= free_s
            self.free_parts.add(part)

    def free_all(self) -> None:
        """Make the parts so far free, because the answer breaks off at a wrong one: all of them, or none."""
        others = [
            part for part, length_s in enumerate(self.lengths_s) if length_s and part not in self.free_parts
        ]
        others_s = sum([self.lengths_s[part] + self._pauses_s[part] for part in others])
        if others_s <= self.free_room_s:
            self.free_room_s -= others_s
            self.free_parts.update(range(len(self.lengths_s)))

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
