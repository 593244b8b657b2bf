"""The values of an utterance: its settings, the messages for its listener, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self

import msgspec
from msgspec.structs import replace

from proxy.audio.formats import OutputForm
from proxy.errors import AccountSuspended, InvalidKey, InvalidRequest, RequestFailed
from proxy.speech.speech_request import SpeechRequest
from speech_engine.redacted import Redacted

NO_CAST = "'voice' cannot be a cast here: one voice speaks while the text comes."


class UtteranceSettings(Redacted, msgspec.Struct, frozen=True):
    """The request of each piece, without its text, and the form of the sound that the listener gets.

    If it `splits`, the first sentence is spoken while the next one is written. Otherwise the text is spoken
    when its end is known. It may be SSML, without the root.
    """

    request: SpeechRequest
    form: OutputForm
    splits: bool = True
    is_ssml: bool = False

    @classmethod
    def of(cls, request: SpeechRequest, *, splits: bool = True, is_ssml: bool = False) -> Self:
        """Return the settings that a request means, for any text. Raises InvalidRequest for what only a
        single answer can have: a cast, and a WAV, whose header has a length."""
        if request.cast:
            raise InvalidRequest(NO_CAST, param="voice")
        if request.form.format == "wav":
            raise InvalidRequest(
                "'response_format' cannot be wav here: its header has a length. Take pcm.",
                param="response_format",
            )
        rate_hz = request.form.sample_rate_hz
        piece_form = OutputForm("pcm", rate_hz, is_usual=OutputForm("pcm").sample_rate_hz == rate_hz)
        piece_request = replace(
            request, text="", form=piece_form, answer="audio", provenance=None, history=False, check="off"
        )
        return cls(piece_request, request.form, splits, is_ssml)


class PieceStart(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """A piece whose first sound follows. `number` counts from 0, and `start` is the place of its `text` in
    all text of the utterance. `start_ms` is when it is heard, in the utterance. `model` is `engine/model`.
    `substitute` names the voices that an answer must state, and `voice_base` those that another model
    repeats in the requested voice, "" if there are none."""

    number: int
    text: str
    start: int
    request_id: str
    start_ms: int
    model: str
    voice: str
    language: str
    substitute: str = ""
    voice_base: str = ""


class PieceEnd(msgspec.Struct, frozen=True):
    """The end of a piece that has begun, with the number of its bytes. A `failure` broke it off."""

    number: int
    bytes: int
    failure: RequestFailed | None = None


class PlacedWord(Redacted, msgspec.Struct, frozen=True):
    """A word, the time in the utterance at which it is heard, and its place in all text of the utterance."""

    text: str
    start_ms: int
    end_ms: int
    start: int
    end: int


class UtteranceUsage(msgspec.Struct, frozen=True):
    """The characters and the seconds of sound of an utterance, as in the rows of usage of its pieces. What is
    free is not in it: a piece that failed, but for what was spoken before a fault of the request."""

    characters: int = 0
    seconds: float = 0.0


class UtteranceEnd(msgspec.Struct, frozen=True):
    """The end of an utterance, with the number of its pieces that have begun. A `failure` ended it early."""

    pieces: int = 0
    usage: UtteranceUsage = UtteranceUsage()
    failure: RequestFailed | None = None

    @property
    def ends_socket(self) -> bool:
        """Whether the key is no longer good, so that the socket closes, too."""
        return isinstance(self.failure, (InvalidKey, AccountSuspended))


class Interrupted(Redacted, msgspec.Struct, frozen=True, kw_only=True):
    """What was heard of an utterance that was interrupted in the piece with this number.

    `text_spoken` ends with the last word that had begun, and `text_remaining` is the rest of all text: both
    as the text was sent. `sent_ms` is the length of the sound that was sent.
    """

    piece: int = 0
    text_spoken: str = ""
    text_remaining: str = ""
    sent_ms: int = 0
    usage: UtteranceUsage = UtteranceUsage()


class UtteranceListener(Protocol):
    """The client of an utterance, as its session sees it. The calls of one utterance come one after another.

    A call on a lost socket does not return: the session's tasks are being cancelled. No call raises.
    """

    async def piece_began(self, start: PieceStart) -> None: ...

    async def send_sound(self, data: bytes, words: Sequence[PlacedWord]) -> None:
        """Send sound, and return when the kernel has it. `data` of all calls is one stream of the form. The
        words are those whose times became known; with the last ones, `data` may be empty."""
        ...

    async def piece_ended(self, end: PieceEnd) -> None: ...

    def count_written(self) -> int:
        """Return the bytes that were written to the connection so far."""
        ...

    def share_sent(self, bytes_before: int) -> float | None:
        """Return None while the client is connected. After that, return which share of the bytes has left
        this machine, of those written after the first `bytes_before` ones."""
        ...
