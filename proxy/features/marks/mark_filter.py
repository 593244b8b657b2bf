"""The inaudible mark as a filter of sound, for the answers that must have it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from policies.plans import Terms
from policies.routing import Candidate
from proxy.features.marks.marker import RETRY_S, Marker
from proxy.features.marks.rules import Marking, MarkingRules, MarkUse
from proxy.speech.planning import SpeechPlan, refuse_provenance
from proxy.speech.sound_filter import OpenFilter, Treatment
from speech_engine import EngineUnavailable


class MarkTreatment(Treatment, frozen=True, kw_only=True):
    marking: Marking


class Marks:
    """Decides which answers are marked, by the rules of one revision of the configuration."""

    def __init__(self, marker: Marker) -> None:
        self._marker = marker
        self._rules: MarkingRules = marker.rules
        marking = self._rules.marking
        use = None if marking is None else marking.mark
        self._filter = None if use is None else MarkFilter(marker, use)

    def treat(self, candidates: Sequence[Candidate], terms: Terms, *, is_joined: bool) -> Treatment | None:
        """Return the treatment of an answer: see `Treat`. A joined answer spares no candidate."""
        marking = self._rules.decide(candidates, terms.marking)
        if marking is None:
            return None
        spared = frozenset[str]() if is_joined else self._rules.spared(candidates, terms.marking)
        return MarkTreatment(filter=self._filter, spared=spared, marking=marking)

    def check_provenance(self) -> None:
        """Refuse to make a manifest where none are signed. Raises InvalidRequest."""
        if not self._rules.has_manifests:
            refuse_provenance()


def possible_marking(plan: SpeechPlan) -> Marking | None:
    """Return the marking of an answer if a model that must be marked speaks it."""
    treatment = plan.treatment
    return treatment.marking if isinstance(treatment, MarkTreatment) else None


def marking_of(plan: SpeechPlan, speaker: str) -> Marking | None:
    """Return the marking of an answer. `speaker` has the names of its speakers, joined by commas."""
    return None if plan.spares(speaker) else possible_marking(plan)


class MarkFilter:
    def __init__(self, marker: Marker, use: MarkUse) -> None:
        self.key = use
        self.headers = ((b"x-voxgate-mark", f"{use.plugin}; key={use.key}".encode("latin-1", "replace")),)
        self._marker = marker

    async def open(self, sample_rate_hz: int, within_s: float) -> OpenFilter:
        try:
            async with asyncio.timeout(within_s):
                return await self._marker.open(self.key, sample_rate_hz)
        except TimeoutError:
            message = f"The mark {self.key.plugin} is not ready yet."
            raise EngineUnavailable(message, retry_after_s=RETRY_S) from None
