"""Who may speak a clip, under which licences and consents: for its receipt and its manifest."""

from __future__ import annotations

from proxy.features.marks.receipt_records import ClipSpeaker
from proxy.speech.planning import SpeechPlan


class PlannedFacts:
    """What a plan tells of every clip that is made by it. No text changes that.

    `consents` are the digests of the consents of all voices that speak, those in a mix too, and of those in
    which that is repeated.
    """

    def __init__(self, plan: SpeechPlan) -> None:
        voices = [voice for part in plan.parts for voice in (part.voice, *part.voice.members)]
        voices += [part.post.whose for part in plan.parts if part.post is not None]
        self.consents = tuple(dict.fromkeys(voice.consent for voice in voices if voice.consent))
        candidates = [candidate for part in plan.parts for candidate in part.candidates]
        models = [model for candidate in candidates for model in candidate.models]
        self._speakers = {
            model.name: ClipSpeaker(model.name, model.info.licence, model.info.is_trained) for model in models
        }

    def speakers(self, engine: str) -> tuple[ClipSpeaker, ...]:
        """Return the models that spoke, named as a speech does. Those of a kept clip were candidates of this
        plan as well."""
        names = dict.fromkeys(engine.split(", "))
        return tuple([self._speakers.get(name) or ClipSpeaker(name, "") for name in names])
