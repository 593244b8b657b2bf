"""What the server asks of an engine: one frozen job with its segments and its voice.

Names, casts and routes are resolved before a job exists. No repr here shows what is to be spoken.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Alphabet = Literal["ipa", "pinyin"]


class Rewritten(msgspec.Struct, frozen=True, array_like=True):
    """A part of what is spoken that stands for other words of the text: `twelve` for `12`."""

    spoken_start: int
    spoken_end: int
    source_start: int
    source_end: int


class Segment(msgspec.Struct, frozen=True):
    """A sentence: what to speak, and which part of the user's text it stands for.

    `rewritten` has what is not as it was written, in order; the rest is the source's, character by character.
    """

    spoken: str
    source_start: int
    source_end: int
    rewritten: tuple[Rewritten, ...] = ()

    def __repr__(self) -> str:
        return f"<Segment {len(self.spoken)} characters, source {self.source_start}..{self.source_end}>"


class EngineVoice(msgspec.Struct, frozen=True, tag="engine_voice"):
    """A voice the engine knows by its own id."""

    id: str


class Sample(msgspec.Struct, frozen=True):
    """A recording to speak like, named by its digest; the bytes travel apart from the job."""

    digest: str
    text: str = ""
    tag: str = ""

    def __repr__(self) -> str:
        return f"<Sample {self.digest[:12]}>"


class Samples(msgspec.Struct, frozen=True, tag="samples"):
    """A voice given by recordings of one speaker."""

    samples: tuple[Sample, ...]


class Mix(msgspec.Struct, frozen=True, tag="mix"):
    """A blend of voices with their weights."""

    parts: tuple[tuple[EngineVoice | Samples, float], ...]


Voice = EngineVoice | Samples | Mix


class Pronunciation(msgspec.Struct, frozen=True):
    """A word of what is spoken, letter by letter as it stands there, and how it sounds: `sounds` is IPA
    without slashes, or pinyin such as `(chu3)(li3)`."""

    word: str
    alphabet: Alphabet
    sounds: str

    def __repr__(self) -> str:
        return f"<Pronunciation in {self.alphabet}>"


class SpeechJob(msgspec.Struct, frozen=True, kw_only=True):
    """One request for speech, as an engine sees it.

    `tenant` is opaque and serves fairness only. `formats` are the encodings the server would pass on
    unchanged, best first; an engine may always answer with PCM. `deadline_s` is the time left until
    the first audio: a job that cannot make it should fail rather than start. `estimated_s` is how long the
    audio will be, as far as anyone can tell, and `share` how much of a slot the tenant is entitled to beside
    others; both are for the queue. `pronunciations` are of the alphabets that the model takes.
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

    def __repr__(self) -> str:
        return f"<SpeechJob {self.id} {self.model} {self.language}, {len(self.segments)} segments>"
