"""What an engine says of itself: its models, their languages and limits, its voices."""

from __future__ import annotations

from typing import Literal

import msgspec

from speech_engine.values import Alphabet

ANY_LANGUAGE = "*"
"""A language tag that stands for every language (an engine that does not care)."""

Quality = Literal["good", "fair", "poor"]


class Language(msgspec.Struct, frozen=True):
    """A language a model speaks (a BCP 47 tag) and how well. `poor` is listed to be refused by name."""

    tag: str
    quality: Quality = "good"


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One model of an engine. The server never asks for more than is stated here.

    `max_characters` counts `spoken`: per segment, or per joined call where `joins_segments` is true.
    `speed` and `pitch` are what the engine does itself; the server fits the rest of a speed afterwards.
    `first_audio_s` raises the server's budget to first audio for models that need longer. `is_local` is false
    where the text leaves the machines of whoever runs the server: some plans do without such models.
    `digest` stands for the checkpoint of a local model: another one sounds otherwise under the same id.
    `phonemes` are the alphabets in which a job may say how a word sounds. Where `reads_numbers` is false,
    texts come prepared by the front-end of their language. A model whose operator `must_accept_licence`
    serves nobody before that; one without `paid_use` serves no plan with a price on a commercial server.
    """

    id: str
    languages: tuple[Language, ...]
    sample_rate_hz: int
    digest: str = ""
    formats: tuple[str, ...] = ()
    max_characters: int = 4096
    joins_segments: bool = False
    speed: tuple[float, float] = (1.0, 1.0)
    pitch: tuple[float, float] = (0.0, 0.0)
    emotions: tuple[str, ...] = ()
    clones: bool = False
    converts: bool = False
    trains: bool = False
    times_words: bool = False
    seeds: bool = False
    billed_on_submit: bool = False
    is_local: bool = True
    first_audio_s: float | None = None
    phonemes: tuple[Alphabet, ...] = ()
    reads_numbers: bool = True
    licence: str = ""
    paid_use: bool = True
    must_accept_licence: bool = False


class VoiceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A voice an engine brings along. `language` is None where the voice speaks any of the model's.

    `age` is a word such as `young`, `tags` are words for how it sounds, `description` is a sentence or two:
    who looks for a voice finds it by them.
    """

    id: str
    name: str
    language: str | None = None
    gender: str | None = None
    age: str | None = None
    tags: tuple[str, ...] = ()
    description: str = ""
