"""The work that an engine does. Every piece of work takes the same way to an engine, hosted or not.

It waits for a slot, it is fair between tenants, and its answer is a stream of events.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Generic, TypeVar

import msgspec

from speech_engine.bounds import MOST_TEXTS, Line
from speech_engine.cloning import CloneRequest
from speech_engine.hearing import HearJob
from speech_engine.values import SpeechJob, Urgency, find_digests

J = TypeVar("J", SpeechJob, HearJob)


class _JobWork(msgspec.Struct, Generic[J], frozen=True):
    job: J

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def tenant(self) -> str:
        return self.job.tenant

    @property
    def deadline_s(self) -> float:
        return self.job.deadline_s

    @property
    def estimated_s(self) -> float:
        return self.job.estimated_s

    @property
    def share(self) -> float:
        return self.job.share

    @property
    def urgency(self) -> Urgency:
        return self.job.urgency

    @property
    def credential(self) -> str:
        return self.job.credential


class Speak(_JobWork[SpeechJob], frozen=True, tag="speak"):
    """Speak the job's segments."""


class Convert(_JobWork[SpeechJob], frozen=True, tag="convert"):
    """Repeat a recording in the job's voice. The recording's PCM travels beside this value."""


class Hear(_JobWork[HearJob], frozen=True, tag="hear"):
    """Write down what is said in a recording. Its PCM travels beside this value. The answer is Transcript, as
    often as there is something new, then Finished."""


class _VoiceWork(msgspec.Struct, frozen=True, kw_only=True):
    """Work on a voice or on words alone. In a host it takes a turn as a very short speech does.

    `credential` names the provider account.
    """

    id: str
    tenant: str
    deadline_s: float
    credential: str = ""

    estimated_s: ClassVar[float] = 0.0
    share: ClassVar[float] = 1.0
    urgency: ClassVar[Urgency] = "live"


class Clone(_VoiceWork, frozen=True, kw_only=True, tag="clone"):
    """Make a voice from recordings. The answer is VoiceMade, then Finished."""

    request: CloneRequest


class DeleteVoice(_VoiceWork, frozen=True, kw_only=True, tag="delete_voice"):
    """Delete a voice that Clone made. The answer is Finished."""

    voice: str


class FindClone(_VoiceWork, frozen=True, kw_only=True, tag="find_clone"):
    """Find the voice that Clone made under a name. The answer is VoiceMade if there is one, then Finished."""

    name: str


class ListClones(_VoiceWork, frozen=True, kw_only=True, tag="list_clones"):
    """List the clones whose names begin like this. The answer is ClonesListed, then Finished."""

    prefix: str


class ReadSounds(_VoiceWork, frozen=True, kw_only=True, tag="read_sounds"):
    """Tell how texts sound in a language. The answer is SoundsRead, then Finished."""

    texts: Annotated[tuple[Line, ...], msgspec.Meta(max_length=MOST_TEXTS)]
    language: str


Work = Speak | Convert | Hear | Clone | DeleteVoice | FindClone | ListClones | ReadSounds


def job_of(work: Work) -> SpeechJob | None:
    """Return the speech of this work; other work has none."""
    return work.job if isinstance(work, (Speak, Convert)) else None


def job_with_samples(work: Work) -> SpeechJob | None:
    """Return the job of this work if it needs recordings, or the file of a trained voice."""
    return work.job if isinstance(work, (Speak, Convert)) and find_digests(work.job.voice) else None


def with_deadline(work: Work, deadline_s: float) -> Work:
    """Return the work with the time that is left for it."""
    if isinstance(work, (Speak, Convert, Hear)):
        return msgspec.structs.replace(work, job=msgspec.structs.replace(work.job, deadline_s=deadline_s))
    return msgspec.structs.replace(work, deadline_s=deadline_s)
