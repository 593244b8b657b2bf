"""The post-step of a request: which step of its route is for it, and whether its model may repeat speech."""

from __future__ import annotations

from collections.abc import Sequence

from policies.routing.filters import FILTERS, FilterInput, no_use
from policies.routing.speakers import find_speaker, may_be_used
from policies.routing.values import FoundStep, NoCandidate, Post, PostSpeaker, RoutingQuery, Voice

_LATER_S = 5.0


def find_post(steps: Sequence[FoundStep], inputs: FilterInput) -> Post | None:
    """Return the first step that is for the emotion of a query, and who repeats. A conversion has none."""
    query = inputs.query
    if query.converts:
        return None
    for found in steps:
        if found.step.emotion is None or found.step.emotion == query.emotion:
            return _judge(found, inputs)
    return None


def _judge(found: FoundStep, inputs: FilterInput) -> Post:
    step, model, voice = found.step, found.model, found.voice
    if model is None or voice is None:
        # It is for the operator to mend, or its engine is starting: the request is not wrong.
        message = f"The post-step of this language's route cannot be done: {found.lack}."
        return Post(step, error=NoCandidate("model", "post_step_not_ready", message, retry_after_s=_LATER_S))
    if not may_be_used(inputs.voice, "conversion"):
        # What is converted is its speech, whoever's voice comes out of that.
        return Post(step, error=_as_of_post_step(no_use(inputs.voice, "conversion")))
    query = RoutingQuery(
        language=inputs.query.language,
        source=inputs.query.source,
        pitch=step.pitch,
        converts=True,
        receivers=_receivers(inputs.voice),
    )
    asked = FilterInput(voice, query, inputs.terms, inputs.licences)
    for filter_ in FILTERS:
        if not filter_.passes(model, asked):
            return Post(step, error=_as_of_post_step(filter_.refusal((model,), asked)))
    speaker = find_speaker(voice, model, query)
    assert speaker is not None, "the filter of voices has found one"
    return Post(step, PostSpeaker(model, speaker.voice, voice, speaker.credential, step.pitch))


def _receivers(voice: Voice) -> tuple[str, ...] | None:
    """Return who may hear the speech, of the engines that are not local: those who may have its voice."""
    agreed = [each.providers for each in (voice, *voice.members) if each.providers is not None]
    if not agreed:
        return None
    return tuple([name for name in agreed[0] if all(name in others for others in agreed)])


def _as_of_post_step(refusal: NoCandidate) -> NoCandidate:
    """Return the refusal of a model that the request has not named. What the operator has to mend is no
    fault of the request, so it may be tried again."""
    message = f"The post-step of this language's route cannot be done: {refusal.message}"
    if refusal.is_forbidden:
        refusal.field, refusal.message = "model", message
        return refusal
    return NoCandidate("model", "post_step_not_ready", message, retry_after_s=_LATER_S)
