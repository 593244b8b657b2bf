"""While an answer speaks with a voice that can be erased, an erasure waits for it, or ends it."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack

from proxy.catalogue.erased_voices import ErasedVoices
from proxy.errors import from_engine
from proxy.speech.call import OpenTap, SpeechCall
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.tap import Tap
from speech_engine import EngineError


class ErasureConcern:
    """Of all answers with saved voices."""

    def __init__(self, erased: ErasedVoices) -> None:
        self._erased = erased

    def opener(self, _request: SpeechRequest, plan: SpeechPlan) -> OpenTap | None:
        return self._open if plan.own_voices else None

    def _open(self, call: SpeechCall) -> Tap:
        voices = call.plan.own_voices
        if (erased := self._erased.erasure_of(voices)) is not None:
            raise from_engine(erased)
        return _ErasureTap(self._erased, voices)


class _ErasureTap(Tap):
    def __init__(self, erased: ErasedVoices, voices: Collection[str]) -> None:
        self._erased = erased
        self._voices = voices
        self._heard = ExitStack()
        self._heard.enter_context(erased.speaking(voices))

    def chunk(self, data: bytes) -> None:
        self._erased.check(self._voices)

    def piece(self, data: bytes) -> None:
        self._erased.check(self._voices)

    def fail(self, error: EngineError) -> EngineError:
        """An engine that has lost the recording of an erased voice has not failed."""
        return self._erased.erasure_of(self._voices) or error

    def end(self, error: BaseException | None) -> None:
        self._heard.close()
