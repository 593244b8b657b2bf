"""The interface of a cache of speech."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from policies.plans import Terms
from proxy.speech.call import SpeechCall
from proxy.speech.observer import Observer
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.speech_stream import Speech, WholeSound


class StoredSpeech(Speech, WholeSound, Protocol):
    """A cached answer, as it was sent before."""

    @property
    def names(self) -> tuple[str, str]:
        """The engine and the model, as usage names them."""
        ...

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speaker of each part, as `Candidate.speaker` names it."""
        ...


class LookUp(msgspec.Struct, frozen=True):
    """The result of a look-up, perhaps after a wait for an equal call. The observer sees the call."""

    stored: StoredSpeech | None = None
    observer: Observer | None = None
    state: Literal["hit", "miss", "off"] = "off"
    waited_s: float = 0.0


class Source(Protocol):
    """A cache that may answer instead of an engine."""

    def is_used(self, request: SpeechRequest, terms: Terms) -> bool:
        """Return whether this request may be answered from the cache, and its answer stored."""
        ...

    def name_without_text(self, account: str, request: SpeechRequest, plan: SpeechPlan) -> bytes:
        """Return the name of the answer without its text, if the first candidates speak."""
        ...

    def path(self, name_without_text: bytes, text: str) -> str:
        """Return the path of the answer."""
        ...

    async def look_up(self, call: SpeechCall, first_audio_s: float) -> LookUp:
        """Look up an answer, and wait less than `first_audio_s` for an equal call. The observer stores it."""
        ...


class NoStoredSpeech:
    """The source of a server without a cache."""

    def is_used(self, request: SpeechRequest, terms: Terms) -> bool:
        del request, terms
        return False

    def name_without_text(self, account: str, request: SpeechRequest, plan: SpeechPlan) -> bytes:
        del account, request, plan
        return b""

    def path(self, name_without_text: bytes, text: str) -> str:
        del name_without_text, text
        return ""

    async def look_up(self, call: SpeechCall, first_audio_s: float) -> LookUp:
        del call, first_audio_s
        return LookUp()
