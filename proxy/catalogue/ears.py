"""The server's own ears: it hears recordings for itself, such as that of a consent.

A feature shares a subclass of `NoEars` with `AppContext.sharing`. Where no feature does, nothing is heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from policies.plans import Terms
from policies.routing import Model
from proxy.errors import NotFound
from speech_engine import EngineUnavailable, TranscriptSegment
from speech_engine.hearing import HEARING_HZ


class OwnRecording(NamedTuple):
    """A recording of an account, as 16-bit mono PCM at `HEARING_HZ`."""

    id: str
    account: str
    pcm: bytes
    language: str

    def __repr__(self) -> str:
        return f"<OwnRecording {self.id} of {self.length_s:.1f} s>"

    @property
    def length_s(self) -> float:
        return len(self.pcm) / (2 * HEARING_HZ)


class OwnTranscript(NamedTuple):
    """`is_reliable`: few words of this language are heard wrong. `avg_logprob` is that of the least sure
    segment."""

    text: str
    is_reliable: bool
    avg_logprob: float = 0.0

    def __repr__(self) -> str:
        return "<OwnTranscript>"


class NoEars:
    """The ears of a server whose engines hear nothing."""

    def may_hear(self, language: str) -> bool:
        """Tell whether a local model hears this language, or one may that has not started yet."""
        del language
        return False

    def can_time(self, language: str) -> bool:
        """Tell whether a local model times known words of this language better than a guess."""
        del language
        return False

    def find_model(self, language: str, terms: Terms) -> Model:
        """Return the local model that hears this language for an account that pays. Raises NotFound,
        NotAllowed, and UpstreamFailed while it starts."""
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
        """Find known words: a segment for each text, which begins about at its start. Raises EngineError."""
        raise EngineUnavailable("No local model hears.")

    async def sounds(self, texts: Sequence[str], language: str) -> Mapping[str, str] | None:
        """Return how texts sound, or None if no engine tells it."""
        del texts, language
        return None
