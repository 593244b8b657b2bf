"""What becomes of the tags of emotions in a text that a candidate cannot express."""

from __future__ import annotations

from msgspec.structs import replace

from policies import text_tags
from policies.routing import Candidate, Decision
from policies.text_tags import Tag
from proxy.errors import InvalidRequest
from proxy.speech.speech_request import SpeechRequest
from proxy.speech.split_text import Span

EMOTION = "emotion"


def candidates_of(request: SpeechRequest, span: Span, decision: Decision) -> tuple[Candidate, ...]:
    """Return the candidates for a part. Those that cannot express its tags leave them out; those that cannot
    express the emotion that a tag gave it come last. Raises InvalidRequest if the request refuses both."""
    candidates, mode = decision.candidates, request.emotion_tags
    tag = None if mode == "text" else text_tags.first_emotion(request.text, span.start, span.end)
    if tag is not None:
        candidates = tuple([c if c.model.info.reads_emotion_tags else _ignoring(c) for c in candidates])
    if span.plain and span.emotion is not None:
        known, post = {each.model.name for each in candidates}, candidates[0].post
        others = [each for each in span.plain if each.model.name not in known and each.post == post]
        candidates += tuple(map(_ignoring, others))
    if mode != "refuse":
        return candidates
    able = tuple([each for each in candidates if EMOTION not in each.ignores])
    if tag is not None and not able:
        raise inexpressible(tag, tag.start, candidates[0])
    return able


def inexpressible(tag: Tag, place: int, candidate: Candidate, param: str = "input") -> InvalidRequest:
    """Return the refusal of a tag at a place of this field."""
    return InvalidRequest(
        f"Invalid '{param}': '[{tag.value}]' at character {place} is an emotion that {candidate.model.name} "
        "cannot express here. With 'emotion_tags' drop it is left out, with text it is read.",
        param=param,
        code="unsupported_value",
    )


def _ignoring(candidate: Candidate) -> Candidate:
    return replace(candidate, ignores=(*candidate.ignores, EMOTION))
