"""The server's own ears: it hears recordings for itself, such as that of a consent.

A feature shares a subclass of `NoEars` with `AppContext.sharing`. Where no feature does, nothing is heard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from speech_engine import EngineUnavailable, TranscriptSegment
from speech_engine.hearing import HEARING_HZ, TranscriptWord
from speech_engine.redacted import Redacted

WINDOW_S = 28.0
"""The words of a longer sound are not looked for: recognisers hear it in several windows."""


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


class OwnTranscript(Redacted, msgspec.Struct, frozen=True):
    """`is_reliable`: few words of this language are heard wrong."""

    text: str
    is_reliable: bool


class GoodEars(NamedTuple):
    """A local model that hears a language well, under its full `name`, and the `slots` of its engine."""

    name: str
    slots: int


class MadeSpeech(NamedTuple):
    """A recording of a known text that an engine has made. One that is no `is_speech` is made of tones.

    Its windows have at most this `share` of the model beside one account that waits for a transcription.
    """

    recording: OwnRecording
    text: str
    is_speech: bool = True
    share: float = 0.5
    is_idle: bool = False

    def __repr__(self) -> str:
        return f"<MadeSpeech {self.recording!r}>"


class KnownTranscript(NamedTuple):
    """What was heard of a known text. `words` are those of the text, with their starts, and how likely each
    is in this sound; there are none if that was not looked for."""

    text: str
    words: tuple[TranscriptWord, ...] = ()

    def __repr__(self) -> str:
        return f"<KnownTranscript of {len(self.words)} words>"


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

    def ears_for(self, language: str, *, is_speech: bool = True) -> GoodEars | None:
        """Return the local model that hears fewer than 5 words in 100 of this language wrong, or None."""
        del language, is_speech
        return None

    async def hear_again(self, made: MadeSpeech, within_s: float, *, full_window: bool) -> KnownTranscript:
        """Hear what an engine has made, by the model of `ears_for`. Raises EngineError."""
        raise EngineUnavailable("No local model hears.")

    async def hear(self, recording: OwnRecording, within_s: float) -> OwnTranscript:
        """Hear a recording. Raises EngineError."""
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
