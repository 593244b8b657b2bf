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
"""How an answer names what such a candidate ignores."""


def candidates_for(
    request: SpeechRequest, span: Span, decision: Decision, *, is_for_job: bool
) -> tuple[Candidate, ...]:
    """Return the candidates for a part. Those that cannot express its tags leave them out; those that cannot
    express the emotion that a tag gave it come last, unless it is for a job, which waits for the others.

    Raises InvalidRequest if the request wants no tag left out, and no candidate expresses those of the part.
    """
    candidates, tags = decision.candidates, request.emotion_tags
    if tags == "text" or "[" not in request.text:
        return candidates
    if (tag := text_tags.first_emotion(request.text, span.start, span.end)) is not None:
        if tags == "refuse":
            able = tuple([each for each in candidates if each.model.info.reads_emotion_tags])
            if not able:
                raise inexpressible(tag, tag.start, candidates[0])
            return able
        candidates = tuple(
            [each if each.model.info.reads_emotion_tags else _ignoring(each) for each in candidates]
        )
    plain = span.plain
    if tags != "drop" or plain is None or span.emotion is None or is_for_job:
        return candidates
    if plain.voice is not span.voice or plain.query.language != decision.query.language:
        return candidates  # the part is in another language or voice than its turn
    known, post = {each.model.name for each in candidates}, candidates[0].post
    others = [each for each in plain.candidates if each.model.name not in known and each.post == post]
    return (*candidates, *map(_ignoring, others))


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
