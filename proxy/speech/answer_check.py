"""The report on a checked answer. `proxy/speech_steps/check_totals.py` writes it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from proxy.errors import InvalidRequest
from proxy.ledger.charges import MakeRows
from proxy.speech.part_check import WrongWords
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


class AnswerCheck:
    """The base type of the checks of an answer, which refuses each.

    The parts in `free_parts`, by their numbers, cost nothing. `make_rows` is that of `Spent`, however the
    answer ends. `lengths_s` are 0 until a part is made.
    """

    free_parts: set[int]
    make_rows: MakeRows | None
    lengths_s: list[float]

    def __init__(self, plan: SpeechPlan) -> None:
        raise InvalidRequest("This server checks no speech.", param="check", code="feature_off")

    @property
    def is_all_right(self) -> bool:
        raise NotImplementedError

    def report_parts(self, parts_s: Mapping[int, float], *, is_stored: bool) -> CheckReport:
        """Return the report of parts of these lengths. A stored answer was right when it was stored."""
        raise NotImplementedError
