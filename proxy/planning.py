"""A request → its plan: who could speak it, in order, and what is known before anyone has spoken."""

from __future__ import annotations

import msgspec

from policies import estimate, language, price, routing
from policies.plans import Terms
from policies.routing import Candidate, Voice
from proxy.catalogue import Catalogue
from proxy.errors import InvalidRequest, NotAllowed
from proxy.wire import SpeechRequest


class Part(msgspec.Struct, frozen=True):
    """A part of the text, from `start` to `end`, that one engine speaks: with which voice, in which
    language, and who will be tried for it, in order."""

    voice: Voice
    language: str
    candidates: tuple[Candidate, ...]
    start: int
    end: int
    estimated_s: float


class Plan(msgspec.Struct, frozen=True):
    """What will be spoken in which parts, under which terms, and the price of their dearest candidates. The
    parts tile the text; mostly there is one. `voice` and `language` are what the answer names."""

    voice: Voice
    language: str
    parts: tuple[Part, ...]
    estimated_s: float
    terms: Terms
    amount: int


class Planner:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def __repr__(self) -> str:
        return f"<Planner over {self._catalogue!r}>"

    def plan(self, request: SpeechRequest, terms: Terms) -> Plan:
        """Raises InvalidRequest or NotFound, naming the field that left nobody to speak; NotAllowed where it
        was the plan; UpstreamFailed where the engine has never been up, so that nobody can tell."""
        if terms.max_characters is not None and len(request.text) > terms.max_characters:
            raise NotAllowed(
                f"{_whose_limit(terms)} takes texts of up to {terms.max_characters} characters; this one "
                f"has {len(request.text)}.",
                param="input",
                code="text_too_long",
            )
        models = self._catalogue.resolve_model(request.model)
        voice = self._catalogue.resolve_voice(request.voice)
        tag = language.choose(request.language, voice.language, request.text)
        wanted = routing.Wanted(language=tag, pitch=request.pitch, emotion=request.emotion)
        try:
            candidates = routing.candidates(models, voice, wanted, terms)
        except routing.NoCandidate as error:
            failure = NotAllowed if error.is_forbidden else InvalidRequest
            raise failure(error.message, param=error.field, code=error.code) from None
        estimated_s = estimate.seconds(request.text, request.speed)
        amount = max(
            price.ahead(
                terms.prices.of_model(candidate.model.engine, candidate.model.info.id),
                estimated_s=estimated_s,
                characters=len(request.text),
            )
            for candidate in candidates
        )
        part = Part(voice, tag, candidates, 0, len(request.text), estimated_s)
        return Plan(voice, tag, (part,), estimated_s, terms, amount)


def _whose_limit(terms: Terms) -> str:
    is_key = terms.key.max_characters is not None and terms.key.max_characters == terms.max_characters
    return "This key" if is_key else f"Your plan '{terms.plan}'"
