"""The interface of checked speech: a feature makes the parts of a call, and says when each may be sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from policies.routing import Candidate
from proxy.speech.call import PartRun, SpeechCall
from proxy.speech.candidate_race import FirstAudio, WaitUntilFree
from proxy.speech.part_check import PlanCheck
from proxy.speech.speech_stream import SpeechStream
from proxy.speech.spill import SpillQuota
from proxy.speech.spoken_word import SpokenWord
from speech_engine import SpeechJob


class PartStream(SpeechStream, Protocol):
    """The stream of one part, with what its relay needs to know."""

    @property
    def candidate(self) -> Candidate: ...

    @property
    def job(self) -> SpeechJob: ...

    @property
    def lufs(self) -> float | None: ...

    @property
    def words(self) -> Sequence[SpokenWord] | None: ...


class CheckedParts(Protocol):
    """Makes the parts of one checked call."""

    async def start_part(
        self, run: PartRun, waited_s: float, wait_until_free: WaitUntilFree | None
    ) -> PartStream:
        """Return a part that may be sent, as `FirstAudio.start_stream` does where nothing is checked."""
        ...

    async def wait_made(self, number: int) -> None:
        """Wait until the engine has finished this part, though it may not be checked yet."""
        ...

    async def wait_checked(self) -> None:
        """Wait a moment for the verdicts on parts that were sent before they were checked."""
        ...

    async def stop_checks(self) -> None: ...


class PartCheck(PlanCheck):
    """Checks the parts of calls. This class can check nothing: a feature has a subclass that can."""

    def begin_parts(
        self, first_audio: FirstAudio, room: SpillQuota, call: SpeechCall, note_made: Callable[[int], None]
    ) -> CheckedParts:
        """Begin to make the parts of a call. `note_made` is called when the sound of a part is there, before
        it is checked."""
        raise NotImplementedError
