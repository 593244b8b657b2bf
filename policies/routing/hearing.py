"""The models that may transcribe a recording, of those behind the request's `model`, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from policies.licence import Licences
from policies.plans import Terms
from policies.routing.filters import FILTERS, FilterInput, is_allowed, speaks
from policies.routing.values import Model, NoCandidate, RoutingQuery, Voice
from speech_engine.hearing import Task


class HearQuery(NamedTuple):
    """The needs of a request. Without a `language`, the model detects it. Some formats need times."""

    language: str = ""
    task: Task = "transcribe"
    format: str = "json"
    needs_times: bool = False


class HearDecision(NamedTuple):
    """The models that may transcribe, or the `error` of the rule that refused the last ones."""

    models: tuple[Model, ...]
    error: NoCandidate | None = None


def decide_hearing(
    models: Sequence[Model], query: HearQuery, terms: Terms, licences: Licences
) -> HearDecision:
    """Return the models that pass all rules, which are applied one after the other."""
    still_able = tuple(models)
    for passes, refusal in _rules(query, terms, licences):
        able = tuple(model for model in still_able if passes(model))
        if not able:
            return HearDecision((), refusal(still_able))
        still_able = able
    return HearDecision(still_able)


_Refusal = Callable[[Sequence[Model]], NoCandidate]
_Rule = tuple[Callable[[Model], bool], _Refusal]


def _rules(query: HearQuery, terms: Terms, licences: Licences) -> list[_Rule]:
    inputs = FilterInput(Voice(id="", name=""), RoutingQuery(language=query.language), terms, licences)

    def shared(name: str) -> _Rule:
        rule = next(each for each in FILTERS if each.name == name)
        return lambda model: rule.passes(model, inputs), lambda models: rule.refusal(models, inputs)

    cannot_translate = "cannot translate; /v1/audio/transcriptions writes down what was said."
    unknown = f"does not know the language '{query.language}' well enough."
    unsold = f"has no price for transcriptions in your plan '{terms.plan}'."
    return [
        (lambda model: model.info.hears, _no_hearing),
        (
            lambda model: query.task == "transcribe" or model.info.translates,
            _refusal("model", "unsupported_model", cannot_translate),
        ),
        (
            lambda model: model.info.times_words or not query.needs_times,
            lambda models: _no_times(models, query.format, terms),
        ),
        (lambda model: is_allowed(model, terms), shared("plan")[1]),
        (
            lambda model: terms.prices.transcription_price(model.engine, model.info.id) is not None,
            _refusal("model", "transcription_not_priced", unsold, is_forbidden=True),
        ),
        shared("jobs"),
        shared("licence"),
        (
            lambda model: not query.language or speaks(model.info, query.language),
            _refusal("language", "unsupported_language", unknown),
        ),
    ]


def _refusal(field: str, code: str, fault: str, *, is_forbidden: bool = False) -> _Refusal:
    return lambda models: NoCandidate(field, code, f"{_names(models)} {fault}", is_forbidden)


def _no_hearing(models: Sequence[Model]) -> NoCandidate:
    does = "converts recordings, at /v1/audio/conversions"
    if any(model.info.speaks for model in models):
        does = "speaks texts, at /v1/audio/speech"
    return _refusal("model", "unsupported_model", f"transcribes no recording: it {does}.")(models)


def _no_times(models: Sequence[Model], format_: str, terms: Terms) -> NoCandidate:
    if terms.is_for_job:
        fault = "gives no times, and a job needs them: its text comes in every format."
        return _refusal("model", "unsupported_model", fault)(models)
    message = (
        f"response_format '{format_}' is not compatible with model '{_names(models)}', which gives no times. "
        "Use 'json' or 'text' instead."
    )
    return NoCandidate("response_format", "unsupported_value", message)


def _names(models: Sequence[Model]) -> str:
    return ", ".join(model.name for model in models)
