"""Notes the saved voices of an answer once they have spoken: an unused one is erased some day."""

from __future__ import annotations

from proxy.features.own_voices.retention import VoiceUse
from proxy.speech.call import OpenTap, SpeechCall
from proxy.speech.planning import SpeechPlan
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.tap import Tap


class VoiceUseConcern:
    """Of all answers with saved voices. A recording that comes with its request is none."""

    def __init__(self, use: VoiceUse) -> None:
        self._use = use

    def opener(self, _request: SpeechRequest, plan: SpeechPlan) -> OpenTap | None:
        return self._open if plan.own_voices else None

    def _open(self, call: SpeechCall) -> Tap:
        return _VoiceUseTap(self._use, call)


class _VoiceUseTap(Tap):
    def __init__(self, use: VoiceUse, call: SpeechCall) -> None:
        self._use = use
        self._call = call

    def end(self, error: BaseException | None) -> None:
        """Also of an answer whose client left: what is charged is use."""
        if self._call.tally.samples:
            for part in self._call.plan.parts:
                self._use.note(part.voice)
                if part.post is not None:
                    self._use.note(part.post.whose)
