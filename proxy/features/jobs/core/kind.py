"""What differs from kind to kind of jobs: how a step is planned, and what its failure means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from policies.plans import Terms
from proxy.access.callers import Caller
from proxy.errors import ErrorDetail
from proxy.features.jobs.core.records import Job, JobStep
from proxy.speech.call import SpeechCall
from proxy.speech.speaking import Speaking
from proxy.storage.rows import LAST_MOMENT


class PlannedStep(NamedTuple):
    """A call, and how many characters of tags are in it before the step's piece of the text. The `consent`
    that it names must be there in the commit of its sound."""

    call: SpeechCall
    tags: int = 0
    consent: str | None = None


class JobKind(ABC):
    """The jobs of one kind. `voice_gone` is said where the voice is not here any more.

    If it `fails_as_one`, its steps end alike: a failed one ends the job. If it `is_checked_before`, a server
    has looked for the model before it took the job: a worker without that is not the only one. After
    `window_us`, no step begins.
    """

    voice_gone: str
    fails_as_one = True
    is_checked_before = True
    window_us = LAST_MOMENT

    @abstractmethod
    async def plan(
        self, job: Job, held: JobStep, speaking: Speaking, caller: Caller, terms: Terms
    ) -> PlannedStep:
        """Plan a step. Raises RequestFailed, VaultFailed."""

    def kept_error(self, status: int, why: ErrorDetail) -> str:
        """Return what a step's row keeps of its failure, which a request would have had with this status."""
        del status
        return why.message
