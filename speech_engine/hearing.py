"""The job of an engine that hears, and the transcript that it yields."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from speech_engine.bounds import Line, Text
from speech_engine.redacted import Redacted
from speech_engine.values import Urgency

HEARING_HZ = 16_000
"""The rate of all PCM that an engine hears, 16-bit mono."""

MOST_SEGMENTS = 10_000
"""The most segments of one event, and the most words of a segment."""

Task = Literal["transcribe", "translate"]


class HearJob(Redacted, msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One recording to be heard, by one engine.

    `language` is a BCP 47 tag; without it the engine finds the language, one of `languages` if there are any.
    `prompt` is the text before, or its style, and `keywords` may be in it. Without a `temperature` the engine
    chooses. With `times` "words" each word needs its times; with "" the text is enough. The `translate` task
    answers in English.

    With `texts`, the words are known, one text for each sentence in order: the engine answers with one
    segment for each, whose words have their starts, and how likely each is in this sound. `starts_s` are the
    beginnings of the texts, if they are known. If it `transcribes` one known text, the segment's text is what
    is heard, whatever the known one says. In a `full_window`, an engine that else hears a short sound alone
    hears it as a part of a long one: this takes longer, and other words are heard wrong.

    `recording` is a digest that is the same for the same sound, and `estimated_s` its length. The other
    fields are those of `SpeechJob`.
    """

    id: str
    tenant: str
    model: str
    recording: str = ""
    estimated_s: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    language: str = ""
    languages: tuple[str, ...] = ()
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    temperature: float | None = None
    task: Task = "transcribe"
    times: Literal["", "segments", "words"] = "segments"
    texts: tuple[str, ...] = ()
    starts_s: tuple[float, ...] = ()
    transcribes: bool = False
    full_window: bool = False
    deadline_s: float = 9.0
    share: Annotated[float, msgspec.Meta(gt=0.0)] = 1.0
    urgency: Urgency = "live"
    credential: str = ""


class TranscriptWord(Redacted, msgspec.Struct, frozen=True, array_like=True):
    """A word without blanks around it. `logprob` is the mean of its letters' `tokens`; 0.0 if the engine has
    none."""

    start_s: float
    end_s: float
    text: Line
    logprob: float = 0.0
    tokens: int = 1


class TranscriptSegment(Redacted, msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was said in a part of the recording. `text` begins with a blank if one parts it from the text
    before. Numbers that the engine does not have are their defaults."""

    start_s: float
    end_s: float
    text: Text
    words: Annotated[tuple[TranscriptWord, ...], msgspec.Meta(max_length=MOST_SEGMENTS)] = ()
    language: Line = ""
    avg_logprob: float = 0.0
    no_speech: float = 0.0
    compression_ratio: float = 0.0
    temperature: float = 0.0
    tokens: Annotated[tuple[int, ...], msgspec.Meta(max_length=MOST_SEGMENTS)] = ()


class Transcript(msgspec.Struct, frozen=True, tag="transcript"):
    """The next segments, in order. `up_to_s` is how far the recording has been heard."""

    segments: Annotated[tuple[TranscriptSegment, ...], msgspec.Meta(max_length=MOST_SEGMENTS)]
    up_to_s: float = 0.0
