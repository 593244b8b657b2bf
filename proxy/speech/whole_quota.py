"""The room of answers that are sent whole. `proxy/speech_steps/whole_quota.py` has it on the disk."""

from __future__ import annotations

from proxy.errors import InvalidRequest
from proxy.ledger import Hold
from proxy.speech.answer import Answer
from proxy.speech.call import SpeechCall
from proxy.speech.observer import Observers
from proxy.speech.source import StoredSpeech
from proxy.speech.speech_stream import Speech
from proxy.speech.spill import SpillQuota


class WholeQuota:
    """The room of one answer, which is refused without room before it costs anything. This class has none."""

    def __init__(
        self, call: SpeechCall, stored: StoredSpeech | None, room: SpillQuota, *, is_rewritten: bool
    ) -> None:
        """Compute the room. Raises InvalidRequest for an answer that may become too large."""
        message = "This server sends sound while it is made, and no answer as a whole."
        raise InvalidRequest(message, param="response_format", code="feature_off")

    @staticmethod
    def check_size(call: SpeechCall, stored: StoredSpeech | None) -> None:
        """Raise InvalidRequest for a whole answer that may become too large."""

    def take_room(self) -> None:
        """Take the room before an engine speaks. Raises RequestFailed."""

    def begin_answer(self, speech: Speech, hold: Hold, observers: Observers) -> Answer:
        raise NotImplementedError

    def leave(self) -> None:
        """Give the room back. It must be called in any case."""
