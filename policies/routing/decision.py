"""Decide who speaks a request: the route, the models in order, and what the filters say of each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from policies import language
from policies.licence import Licences
from policies.plans import Terms
from policies.routing import filters
from policies.routing.filters import FILTERS, Filter, FilterInput
from policies.routing.post_steps import find_post
from policies.routing.speakers import find_emotions, find_speaker
from policies.routing.values import (
    PLAIN,
    Candidate,
    FoundStep,
    Model,
    NoCandidate,
    Post,
    Route,
    RoutingQuery,
    Voice,
)
from speech_engine import ModelInfo


class FrontEndNames(msgspec.Struct, frozen=True):
    """The installed front-ends. `by_language` has those that are made for one language, by its base tag."""

    installed: frozenset[str] = frozenset((PLAIN,))
    by_language: Mapping[str, str] = {}


class Rules(msgspec.Struct, frozen=True):
    """The rules for all requests of one revision of the configuration."""

    licences: Licences = Licences()
    front_ends: FrontEndNames = FrontEndNames()


class RoutingResult(msgspec.Struct, frozen=True):
    """A route, those of its candidates that exist at this moment, and its post-steps."""

    route: Route
    models: tuple[Model, ...]
    steps: tuple[FoundStep, ...] = ()


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """The models that the request's `model` stands for.

    If `is_pinned`, the request names them itself, and no route replaces them. An alias is a default list.
    `routed` is the route of the request's language, and `beyond_route` are the other models of the alias, for
    voices of recordings that none of the route can speak.
    """

    models: tuple[Model, ...]
    is_pinned: bool = False
    routed: RoutingResult | None = None
    beyond_route: tuple[Model, ...] = ()

    @property
    def in_order(self) -> tuple[Model, ...]:
        if self.routed is None or self.is_pinned:
            return self.models
        return self.routed.models or self.models

    @property
    def steps(self) -> tuple[FoundStep, ...]:
        """The post-steps. A request that names its models itself hears those, and none."""
        return () if self.routed is None or self.is_pinned else self.routed.steps


class Verdict(msgspec.Struct, frozen=True):
    """The filter that refused one model, and why. None means that the model passed all of them."""

    model: Model
    refused_by: filters.Name | None = None
    reason: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """The candidates in order, or the `error` of the filter that refused the last of them. `steps` are the
    post-steps of which the query has one, or none."""

    voice: Voice
    query: RoutingQuery
    route: Route | None
    verdicts: tuple[Verdict, ...]
    candidates: tuple[Candidate, ...]
    error: NoCandidate | None = None
    steps: tuple[FoundStep, ...] = ()

    @property
    def lacks_post(self) -> bool:
        """Whether its post-step cannot be done: in another language, the text might be spoken without."""
        return self.query.post is not None and self.query.post.speaker is None

    @property
    def emotions(self) -> tuple[str, ...]:
        """What the first candidate can express, by itself or by a post-step."""
        of_steps = [found.step.emotion for found in self.steps if found.step.emotion is not None]
        return (*find_emotions(self.voice, self.candidates[0].model), *of_steps)


def decide(offer: Offer, voice: Voice, query: RoutingQuery, terms: Terms | None, rules: Rules) -> Decision:
    """Apply the filters in their order. Without terms, the plan refuses nothing.

    A model that has no voice of the voice's gender comes after those that have one. Raises nothing: the error
    is in the decision.
    """
    inputs = FilterInput(voice, query, terms, rules.licences)
    post: Post | None = None
    if (steps := offer.steps) and (post := find_post(steps, inputs)) is not None:
        query = msgspec.structs.replace(query, post=post)
        inputs = inputs._replace(query=query)
    repeater = None if post is None else post.speaker
    route = None if offer.routed is None else offer.routed.route
    judged = [(model, _first_refusal(model, inputs)) for model in offer.in_order]
    able = [
        (model, speaker)
        for model, refuser in judged
        if refuser is None and (speaker := find_speaker(voice, model, query)) is not None
    ]
    if len(able) > 1:
        able.sort(key=lambda each: not each[1].is_of_gender)
    decision = Decision(
        voice=voice,
        query=query,
        route=route,
        verdicts=tuple([_verdict(model, refuser, inputs) for model, refuser in judged]),
        candidates=tuple(
            [
                Candidate(
                    model,
                    speaker.voice,
                    _front_end(model.info, route, query, rules),
                    speaker.credential,
                    speaker.share,
                    post=repeater,
                )
                for model, speaker in able
            ]
        ),
        error=None if able else _last_refusal(judged, inputs, route),
        steps=steps,
    )
    error, routed, replace = decision.error, offer.routed, msgspec.structs.replace
    lacks_voice = error is not None and error.field == "voice" and error.retry_after_s is None
    if not (lacks_voice and voice.is_recorded and offer.beyond_route and routed is not None):
        return decision
    if query.by_sentence and routed.route.sentences:
        return decision  # they have the voice of their route
    beyond = Offer(models=(), routed=replace(routed, models=offer.beyond_route))
    other = decide(beyond, voice, query, terms, rules)
    if other.error is not None:
        return decision
    candidates = tuple([replace(each, ignores=("route",)) for each in other.candidates])
    return replace(other, verdicts=(*decision.verdicts, *other.verdicts), candidates=candidates)


def _first_refusal(model: Model, inputs: FilterInput) -> Filter | None:
    """Return the first filter that the model does not pass."""
    for filter_ in FILTERS:
        if not filter_.passes(model, inputs):
            return filter_
    return None


def _verdict(model: Model, refuser: Filter | None, inputs: FilterInput) -> Verdict:
    if refuser is None:
        return Verdict(model)
    return Verdict(model, refuser.name, refuser.refusal((model,), inputs).message)


def _last_refusal(
    judged: Sequence[tuple[Model, Filter | None]], inputs: FilterInput, route: Route | None
) -> NoCandidate:
    """Return the error of the last filter that a model reached. None has passed it."""
    last = max((refuser for _, refuser in judged if refuser is not None), key=FILTERS.index)
    error = last.refusal([model for model, refuser in judged if refuser is last], inputs)
    if last.name == "language" or route is not None:
        # Without a route, the language has chosen no model, so it is not to blame.
        error.message += filters.remark_on_guess(inputs.query)
    return error


def _front_end(info: ModelInfo, route: Route | None, query: RoutingQuery, rules: Rules) -> str:
    """Return the route's front-end, or the language's own for a model that cannot read numbers."""
    names = rules.front_ends
    if route is not None and route.front_end is not None:
        return route.front_end if route.front_end in names.installed else PLAIN
    if info.reads_numbers:
        return PLAIN
    return names.by_language.get(language.base(query.language), PLAIN)
