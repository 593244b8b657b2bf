"""A job for an engine: one frozen value with its segments and its voice.

Names, casts and routes are resolved before a job exists. No repr here shows the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from speech_engine.redacted import Redacted

Alphabet = Literal["ipa", "pinyin"]

Urgency = Literal["live", "ahead", "whole", "idle"]
"""The reader of a job: a listener; a listener later, since another part plays first; a client that takes the
answer in one piece; or no reader."""


class Rewritten(msgspec.Struct, frozen=True, array_like=True):
    """A spoken part that stands for other words of the text: `twelve` for `12`."""

    spoken_start: int
    spoken_end: int
    source_start: int
    source_end: int


class Segment(Redacted, msgspec.Struct, frozen=True):
    """A sentence: the words to speak, and their place in the user's text.

    `rewritten` lists the changed parts in order. The rest equals the source, character by character. The
    server tells which segment `ends_paragraph`: after it comes a blank line, a heading, or an item of a list.
    """

    spoken: str
    source_start: int
    source_end: int
    rewritten: tuple[Rewritten, ...] = ()
    ends_paragraph: bool = False


class EngineVoice(msgspec.Struct, frozen=True, tag="engine_voice"):
    """A voice of the engine, by the engine's own id."""

    id: str


class Sample(msgspec.Struct, frozen=True):
    """A recording of the voice, named by its digest; the bytes travel apart from the job.

    `text` has its words, or is empty if unknown. `seconds` is its length, and `speech_s` the length
    of the speech in it, 0 if that is not known. `part` has the words of the part that a model gets if it
    must know the words and cannot take the whole.
    """

    digest: str
    text: str = ""
    tag: str = ""
    seconds: float = 0.0
    speech_s: float = 0.0
    part: str = ""

    def __repr__(self) -> str:
        return f"<Sample {self.digest[:12]}>"


class Samples(msgspec.Struct, frozen=True, tag="samples"):
    """A voice given by recordings of one speaker."""

    samples: tuple[Sample, ...]


class Mix(msgspec.Struct, frozen=True, tag="mix"):
    """A blend of voices with their weights."""

    parts: tuple[tuple[EngineVoice | Samples, float], ...]


class Trained(Redacted, msgspec.Struct, frozen=True, tag="trained"):
    """A voice given by a model that was trained for it, named by the digest of its file. As a recording does,
    the file travels apart from the job. A voice that `is_operators` is the same for all accounts."""

    digest: str
    is_operators: bool = False


Voice = EngineVoice | Samples | Mix | Trained


def find_samples(voice: Voice) -> tuple[Sample, ...]:
    """Return the recordings that an engine needs for a voice, each once. A voice of the engine, or a trained
    voice, needs none."""
    if isinstance(voice, (EngineVoice, Trained)):
        return ()
    if isinstance(voice, Samples):
        return voice.samples
    found = {sample.digest: sample for part, _ in voice.parts for sample in find_samples(part)}
    return tuple(found.values())


def find_digests(voice: Voice) -> tuple[str, ...]:
    """Return the digests of all that an engine needs for a voice: its recordings, or its trained model."""
    if isinstance(voice, EngineVoice):
        return ()
    if isinstance(voice, Trained):
        return (voice.digest,)
    return tuple([sample.digest for sample in find_samples(voice)])


class Pronunciation(Redacted, msgspec.Struct, frozen=True):
    """The sound of a word. `word` is written exactly as in `spoken`; `sounds` is IPA without slashes,
    or pinyin such as `(chu3)(li3)`."""

    word: str
    alphabet: Alphabet
    sounds: str


class SpeechJob(Redacted, msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request for speech, for one engine.

    `tenant` is opaque and serves fairness only. `formats` are the encodings that the server can pass on
    unchanged, best first; an engine may always answer with PCM. `deadline_s` is the time left until the
    first audio: a job that will be too late should fail before it starts. `estimated_s` is the expected
    length of the audio, and `share` is the tenant's part of a slot beside others; both are for the queue.
    `pronunciations` use only the alphabets of the model.

    `urgency` orders jobs of one tenant; `idle` jobs come after all others. No sound of a job that
    `goes_whole` is heard before all of it is made. A listener begins in `plays_in_s`, and hears `plays_rate`
    seconds of sound a second. After this job, about `follows_s` seconds more will be requested under the same
    id: 12 for the first of four parts of 4 seconds each. Work that outlives a request names its job in
    `of_job`, and itself in `step`: the same at every try. `credential` names the provider account to which
    the voice belongs; empty is any. `instructions` say in words how to speak, and `extra` has values that
    only this engine knows.
    """

    id: str
    tenant: str
    model: str
    voice: Voice
    segments: tuple[Segment, ...]
    language: str
    speed: float = 1.0
    pitch: float = 0.0
    emotion: str | None = None
    seed: int | None = None
    formats: tuple[str, ...] = ()
    deadline_s: float = 9.0
    max_samples: int | None = None
    estimated_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    share: Annotated[float, msgspec.Meta(gt=0.0)] = 1.0
    pronunciations: tuple[Pronunciation, ...] = ()
    urgency: Urgency = "live"
    plays_in_s: float = 0.0
    plays_rate: Annotated[float, msgspec.Meta(gt=0.0)] = 1.0
    follows_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    credential: str = ""
    of_job: str = ""
    step: str = ""
    instructions: str = ""
    extra: Mapping[str, Any] = {}
    goes_whole: bool = False

    @property
    def is_taken_whole(self) -> bool:
        """Whether no listener hears its beginning before its end is made."""
        return self.goes_whole or self.urgency in ("whole", "idle")


def owner_of(job: SpeechJob) -> str:
    """Return the owner of the recordings or the file of a job's voice: its tenant, or "" for the operator."""
    return "" if isinstance(job.voice, Trained) and job.voice.is_operators else job.tenant
