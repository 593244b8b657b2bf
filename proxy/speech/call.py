"""The call of a speech: the one value that goes the whole way, from the plan to the last bytes."""

from __future__ import annotations

from typing import NamedTuple

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.tally import Tally


class SpeechCall(NamedTuple):
    """A request that was admitted and planned. Only its tally changes: it counts what came out so far.

    `clip` is the path of its clip in the audio cache, None if the cache is not used.
    """

    id: str
    caller: Caller
    request: SpeechRequest
    plan: SpeechPlan
    tally: Tally
    clip: str | None = None

    def __repr__(self) -> str:
        return f"<SpeechCall {self.id}, {self.tally!r}>"

    @classmethod
    def of(
        cls, id_: str, caller: Caller, request: SpeechRequest, plan: SpeechPlan, clip: str | None = None
    ) -> SpeechCall:
        return cls(id_, caller, request, plan, Tally(request, plan), clip)

    @property
    def terms(self) -> Terms:
        return self.plan.terms

    @property
    def part_format(self) -> str:
        """The format that each part is made in: several parts meet as PCM, and are encoded as one."""
        return self.request.format if len(self.plan.parts) == 1 else "pcm"
