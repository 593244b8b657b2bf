"""Where an answer may come from without an engine: from what was spoken before."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from policies.plans import Terms
from proxy.speech.call import SpeechCall
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.speech_stream import Speech, WholeSound
from proxy.speech.tap import Tap


class KeptSpeech(Speech, WholeSound, Protocol):
    """An answer from before, as it went out then."""

    @property
    def names(self) -> tuple[str, str]:
        """The engine and the model, as usage names them."""
        ...

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speaker of each part, as `Candidate.speaker` names it."""
        ...


class LookUp(msgspec.Struct, frozen=True):
    """What a source has for a call, after it waited for an equal one. The tap tells it how the call ends."""

    kept: KeptSpeech | None = None
    tap: Tap | None = None
    state: Literal["hit", "miss", "off"] = "off"
    waited_s: float = 0.0


class Source(Protocol):
    """What may answer in place of an engine."""

    def is_used(self, request: SpeechRequest, terms: Terms) -> bool:
        """Tell whether this request may be answered from here, and its answer kept."""
        ...

    def name_without_text(self, account: str, request: SpeechRequest, plan: SpeechPlan) -> bytes:
        """Return what names the answer besides its text, if the first candidates speak."""
        ...

    def path(self, name_without_text: bytes, text: str) -> str:
        """Return where the answer is."""
        ...

    async def look_up(self, call: SpeechCall, first_audio_s: float) -> LookUp:
        """Look for the answer of a call. The sound of one that the tap hears to its end is kept."""
        ...


class NothingKept:
    """Where nothing is kept."""

    def is_used(self, request: SpeechRequest, terms: Terms) -> bool:
        return False

    def name_without_text(self, account: str, request: SpeechRequest, plan: SpeechPlan) -> bytes:
        return b""

    def path(self, name_without_text: bytes, text: str) -> str:
        return ""

    async def look_up(self, call: SpeechCall, first_audio_s: float) -> LookUp:
        return _NOTHING


_NOTHING = LookUp()
