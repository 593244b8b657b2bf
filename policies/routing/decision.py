"""Who speaks a request: the route of its language, the models in order, what each filter says of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from policies import language
from policies.licence import Licences
from policies.plans import Terms
from policies.routing import filters
from policies.routing.filters import FILTERS, Filter, FilterInput
from policies.routing.values import PLAIN, Candidate, Model, NoCandidate, Route, RoutingQuery, Voice
from speech_engine import ModelInfo


class FrontEndNames(msgspec.Struct, frozen=True):
    """The installed ones; `by_language` has those that were made for a language, by its base tag."""

    installed: frozenset[str] = frozenset((PLAIN,))
    by_language: Mapping[str, str] = {}


class Rules(msgspec.Struct, frozen=True):
    """What holds for all requests of one revision of the configuration."""

    licences: Licences = Licences()
    front_ends: FrontEndNames = FrontEndNames()


class RoutingResult(msgspec.Struct, frozen=True):
    """A route, and those of its candidates that there are just now."""

    route: Route
    models: tuple[Model, ...]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What the request's model stands for. `is_pinned` where it names models itself, which no route then
    replaces; an alias is only a default list. `routed` is the route of the request's language."""

    models: tuple[Model, ...]
    is_pinned: bool = False
    routed: RoutingResult | None = None

    @property
    def in_order(self) -> tuple[Model, ...]:
        if self.routed is None or self.is_pinned:
            return self.models
        return self.routed.models or self.models


class Verdict(msgspec.Struct, frozen=True):
    """Of one model: the filter that refused it, and why; None where it passed them all."""

    model: Model
    refused_by: filters.Name | None = None
    reason: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Either candidates, in order, or the one `error`, of the filter that emptied the list."""

    voice: Voice
    wanted: RoutingQuery
    route: Route | None
    verdicts: tuple[Verdict, ...]
    candidates: tuple[Candidate, ...]
    error: NoCandidate | None = None


def decide(offer: Offer, voice: Voice, wanted: RoutingQuery, terms: Terms | None, rules: Rules) -> Decision:
    """Asks voice, plan, licence, language, pitch and emotion, in this order; without terms the plan is not
    asked. Raises nothing: the error is in the decision."""
    asked = FilterInput(voice, wanted, terms, rules.licences)
    route = None if offer.routed is None else offer.routed.route
    judged = [(model, _refusing(model, asked)) for model in offer.in_order]
    candidates = [
        Candidate(model, voice.on(model.engine) or "", _front_end(model.info, route, wanted, rules))
        for model, refusing in judged
        if refusing is None
    ]
    return Decision(
        voice=voice,
        wanted=wanted,
        route=route,
        verdicts=tuple([_verdict(model, refusing, asked) for model, refusing in judged]),
        candidates=tuple(candidates),
        error=None if candidates else _emptied(judged, asked),
    )


def _refusing(model: Model, asked: FilterInput) -> Filter | None:
    """The first filter that the model does not pass; those behind it are not asked."""
    for filter_ in FILTERS:
        if not filter_.passes(model, asked):
            return filter_
    return None


def _verdict(model: Model, refusing: Filter | None, asked: FilterInput) -> Verdict:
    if refusing is None:
        return Verdict(model)
    return Verdict(model, refusing.name, refusing.refusal((model,), asked).message)


def _emptied(judged: Sequence[tuple[Model, Filter | None]], asked: FilterInput) -> NoCandidate:
    """The error of the last filter that anybody reached; none has passed it."""
    last = max((refusing for _, refusing in judged if refusing is not None), key=FILTERS.index)
    return last.refusal([model for model, refusing in judged if refusing is last], asked)


def _front_end(info: ModelInfo, route: Route | None, wanted: RoutingQuery, rules: Rules) -> str:
    """The route's; where it names none, a model that cannot read numbers gets its language's own."""
    names = rules.front_ends
    if route is not None and route.front_end is not None:
        return route.front_end if route.front_end in names.installed else PLAIN
    if info.reads_numbers:
        return PLAIN
    return names.by_language.get(language.base(wanted.language), PLAIN)
