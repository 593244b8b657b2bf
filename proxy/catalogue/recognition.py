"""The interface by which the server hears recordings for itself, such as that of a consent.

A feature shares a subclass of `LocalRecognition` with `AppContext.with_shared`. Without it, nothing is heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from policies.plans import Terms
from policies.routing import Model
from proxy.errors import NotFound
from speech_engine import EngineUnavailable, TranscriptSegment
from speech_engine.hearing import HEARING_HZ, TranscriptWord
from speech_engine.redacted import Redacted

WINDOW_S = 28.0
"""The longest sound in which known words are timed. Recognisers hear a longer one in several windows."""


class OwnRecording(NamedTuple):
    """A recording: 16-bit mono PCM at `HEARING_HZ`. With `languages`, the model finds the one that it has."""

    id: str
    account: str
    pcm: bytes
    language: str
    languages: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<OwnRecording {self.id} of {self.length_s:.1f} s>"

    @property
    def length_s(self) -> float:
        return len(self.pcm) / (2 * HEARING_HZ)


class OwnTranscript(Redacted, msgspec.Struct, frozen=True):
    """The words of a recording. If it `is_reliable`, the model hears few words of this language wrong.
    `avg_logprob` is the least one of its segments. `languages` are those of its segments. `words` have
    times, if the model tells them."""

    text: str
    is_reliable: bool
    languages: frozenset[str] = frozenset()
    avg_logprob: float = 0.0
    words: tuple[TranscriptWord, ...] = ()


class Recogniser(NamedTuple):
    """A local model that hears a language well: its full `name`, and the `slots` of its engine."""

    name: str
    slots: int


class MadeSpeech(NamedTuple):
    """Sound that an engine has made of a known text. If it is not `is_speech`, it consists of tones. It is
    heard with the urgency `idle` if it `is_idle`. While one account waits for a transcription, hearing this
    gets at most this `share` of the model."""

    recording: OwnRecording
    text: str
    is_speech: bool = True
    share: float = 0.5
    is_idle: bool = False

    def __repr__(self) -> str:
        return f"<MadeSpeech {self.recording!r}>"


class ScoredTranscript(NamedTuple):
    """The words that were heard, as `text`. `words` are those of the known text, with their starts and how
    likely each is in this sound, or empty if they were not timed."""

    text: str
    words: tuple[TranscriptWord, ...] = ()

    def __repr__(self) -> str:
        return f"<ScoredTranscript of {len(self.words)} words>"


class LocalRecognition:
    """The recognisers among the local models. This class has none: a feature has a subclass with some."""

    def may_hear(self, language: str) -> bool:
        """Tell whether a local model hears this language, or may hear it once it has started."""
        del language
        return False

    def can_time(self, language: str) -> bool:
        """Tell whether a local model times known words of this language better than a guess."""
        del language
        return False

    def find_recogniser(self, language: str, *, is_speech: bool = True) -> Recogniser | None:
        """Return the local model that hears fewer than 5 words in 100 of this language wrong, or None."""
        del language, is_speech
        return None

    async def hear_made(self, made: MadeSpeech, within_s: float, *, full_window: bool) -> ScoredTranscript:
        """Hear what an engine has made, by the model of `find_recogniser`. See `HearJob` for `full_window`.
        Raises EngineError."""
        raise EngineUnavailable("No local model hears.")

    def find_model(self, language: str, terms: Terms) -> Model:
        """Return the local model that hears this language under these terms. Raises NotFound, NotAllowed, and
        UpstreamFailed while it starts."""
        del language, terms
        raise NotFound(
            "No local model hears this language. The operator can get one: voxgate models pull whisper-base",
            param="cut",
            code="model_not_found",
        )

    async def hear(
        self, recording: OwnRecording, within_s: float, model: Model | None = None
    ) -> OwnTranscript:
        """Hear a recording, by this model or the first one of its language. Raises EngineError."""
        raise EngineUnavailable("No local model hears.")

    async def score_words(
        self, recording: OwnRecording, texts: Sequence[str], starts_s: Sequence[float], within_s: float
    ) -> Sequence[TranscriptSegment]:
        """Return a segment with scored words for each of the known texts, which begin about at `starts_s`.
        Raises EngineError."""
        raise EngineUnavailable("No local model hears.")

    async def phonemes_of(self, texts: Sequence[str], language: str) -> Mapping[str, str] | None:
        """Return the phonemes of each text, or None if no engine knows them."""
        del texts, language
        return None
