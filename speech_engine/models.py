"""An engine's description: its models, their languages and limits, its voices."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from speech_engine.bounds import Line, Text
from speech_engine.levels import QUIETEST_LUFS
from speech_engine.values import Alphabet

ANY_LANGUAGE = "*"
"""The tag for every language, for an engine that speaks any."""

Lufs = Annotated[float, msgspec.Meta(ge=QUIETEST_LUFS, le=0.0)]
"""A loudness that a voice may have."""

Quality = Literal["good", "fair", "poor"]

NEVER_PASSED = frozenset(
    {
        *("ref_audio", "ref_audio_url", "reference_audio", "references"),
        *("audio", "audio_path", "audio_url", "url", "path"),
    }
)
"""Fields that name a recording by its address. The engine's server would fetch it, so any client could reach
that server's files and its network. Recordings go as `Samples`."""


_Lines = Annotated[tuple[Line, ...], msgspec.Meta(max_length=1_000)]


class Language(msgspec.Struct, frozen=True):
    """A language of a model (a BCP 47 tag) and its quality. A `poor` language is refused by name."""

    tag: Line
    quality: Quality = "good"


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One model of an engine. The server never exceeds these limits.

    `max_characters` counts `spoken`: per segment, or per joined call where `joins_segments` is true. `speed`
    and `pitch` are the engine's own ranges; the server does the rest of a speed afterwards. If a model needs
    longer, `first_audio_s` raises the server's time limit to first audio.

    If the text leaves the operator's machines, `is_local` is false: some plans do without such models.
    `shutdown_date` is the day, such as 2027-01-06, from which the provider serves the model no more.
    `encoded_hz` is the rate of its own `formats`, 0 if that is not known: a client that names a rate gets
    their bytes only if they surely have it.

    It follows `instructions` of up to `max_instructions` characters; 0 is for a model that has none. A client
    may set the `client_fields`, which only this engine knows: they come as the job's `extra`, and never are
    any of `NEVER_PASSED`.

    `digest` stands for the checkpoint of a local model: another one sounds different under the same id.
    `phonemes` are the alphabets in which a job may say how a word sounds. If `reads_numbers` is false, the
    front-end of the language prepares the texts. A model without `reads_emotion_tags` gets texts without tags
    such as `[happy]`.

    If the operator `must_accept_licence`, the model serves no request before that. Without `paid_use`, it
    serves no plan with a price on a commercial server.

    A model that `clones` makes a voice of recordings once. A model that `speaks_samples` speaks with
    recordings of any voice (`Samples`). Recordings have `sample_s` seconds (least, most), at `sample_hz`;
    longer ones are cut. If a provider deletes clones that do not speak, it does so after `unused_clone_s`. If
    the model `needs_sample_text`, each recording must come with its words. A model that `mixes` blends up to
    `most_mixed` voices (`Mix`).

    A model that `hears` writes down what is said in a recording, and then does not speak. If it `translates`,
    it can answer in English. If it `times_words`, its segments and words have times. If it `scores_text`, it
    finds known words in a recording. Two measured facts: fewer than 5 words in 100 are wrong in the languages
    that it `hears_well`, and in those of `known_words_late_s` it times known words better than their letters
    do, by so many seconds too late.

    A model that `converts` repeats a recording in another voice; without `speaks` it only converts. With a
    `trained_format`, it takes voices that were trained for it, whose files have that format. If its provider
    counts units, a minute of a recording counts `units_a_minute` until the provider's count is known. If it
    `hears_all_first`, work and billing begin only at the end of the recording, and it gets more time for a
    long one.

    A model that follows rules, and learnt from no recordings, is not `is_trained`: signed manifests say so.
    Without `is_speech`, the sound has no words (a test's tones), and needs no mark of a machine's speech.

    The server sets `runner` if the engine is remote, on machines rented by a runner of this name: then the
    model is not local, and speaks only for jobs.

    `substitutes` has a pair for each listed voice that the provider lacks: its id, and the voice that the
    engine speaks with instead. A header of the answer names that one.
    """

    id: Line
    languages: Annotated[tuple[Language, ...], msgspec.Meta(max_length=1_000)]
    sample_rate_hz: int
    digest: Line = ""
    shutdown_date: Line = ""
    formats: _Lines = ()
    encoded_hz: int = 0
    max_characters: int = 4096
    joins_segments: bool = False
    max_instructions: int = 0
    client_fields: _Lines = ()
    speed: tuple[float, float] = (1.0, 1.0)
    pitch: tuple[float, float] = (0.0, 0.0)
    emotions: _Lines = ()
    clones: bool = False
    speaks: bool = True
    converts: bool = False
    trained_format: Line = ""
    units_a_minute: float | None = None
    hears_all_first: bool = False
    trains: bool = False
    times_words: bool = False
    seeds: bool = False
    billed_on_submit: bool = False
    is_local: bool = True
    first_audio_s: float | None = None
    phonemes: Annotated[tuple[Alphabet, ...], msgspec.Meta(max_length=10)] = ()
    reads_numbers: bool = True
    reads_emotion_tags: bool = False
    licence: Text = ""
    paid_use: bool = True
    must_accept_licence: bool = False
    speaks_samples: bool = False
    sample_s: tuple[float, float] = (3.0, 30.0)
    sample_hz: int = 24_000
    unused_clone_s: float | None = None
    needs_sample_text: bool = False
    mixes: bool = False
    most_mixed: int = 8
    is_speech: bool = True
    is_trained: bool = True
    hears: bool = False
    translates: bool = False
    scores_text: bool = False
    hears_well: _Lines = ()
    known_words_late_s: Annotated[tuple[tuple[Line, float], ...], msgspec.Meta(max_length=1_000)] = ()
    substitutes: Annotated[tuple[tuple[Line, Line], ...], msgspec.Meta(max_length=20_000)] = ()
    runner: Line = ""

    @property
    def is_ours(self) -> bool:
        """Whether the operator runs it, here or on rented machines: no provider marks its speech."""
        return self.is_local or bool(self.runner)


class VoiceInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A voice of an engine. `language` is None if the voice speaks all languages of the model.

    `age` is a word such as `young`, `tags` are words for the sound, `description` is a sentence or two.
    A search for voices looks at all three. If the server shares the engine's voices among OpenAI's names, it
    takes those that have `shares_names`. A voice that `is_cloned` is that of a person, made of recordings.

    `lufs` is the loudness of its sound by ITU-R BS.1770, or pairs of a language and the loudness in it, if
    the engine knows that: the server brings it to the loudness of all. Else it measures the voices of casts.
    """

    id: Line
    name: Line
    language: Line | None = None
    gender: Line | None = None
    age: Line | None = None
    tags: _Lines = ()
    description: Text = ""
    shares_names: bool = True
    is_cloned: bool = False
    lufs: Lufs | Annotated[tuple[tuple[Line, Lufs], ...], msgspec.Meta(max_length=1_000)] | None = None

    def lufs_in(self, language: str) -> float | None:
        if not isinstance(self.lufs, tuple):
            return self.lufs
        base = language.partition("-")[0]
        near = (lufs for tag, lufs in self.lufs if tag.partition("-")[0] == base)
        return dict(self.lufs).get(language) or next(near, None)
