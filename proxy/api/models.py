"""GET /v1/models and /v1/models/{id}, and /v1/audio/models for clients that look for the key `models`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from policies.routing import Model, is_cloned_for, spoken_languages
from policies.routing.filters import only_hear
from proxy.access.admission import Plans
from proxy.access.callers import caller_or_none
from proxy.catalogue.catalogue import Catalogue
from proxy.errors import NotAllowed, NotFound
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint

_CREATED_S = 1_767_225_600
"""The start of 2026. Clients want a number in seconds that stays the same; nothing reads it."""


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A name that a request may give as its `model`.

    An alias has no licence and no `is_trained`: its models have theirs.
    """

    id: str
    object: Literal["model"] = "model"
    created: int = _CREATED_S
    owned_by: str
    shutdown_date: str | None = None
    """The day from which a provider serves a model no more. An alias stays: its operator names another."""
    licence: str | None = None
    is_trained: bool | None = None
    """Whether it learned from recordings, or speaks by rules."""
    converts: Literal[True] | UnsetType = UNSET
    """It repeats recordings in another voice: /v1/audio/conversions."""
    hears: Literal[True] | UnsetType = UNSET
    """It writes down what is said in recordings: /v1/audio/transcriptions. Of an alias, one of its models."""
    translates: Literal[True] | UnsetType = UNSET
    """It can also write them down in English: /v1/audio/translations."""
    times_words: Literal[True] | UnsetType = UNSET
    """What it writes down has times, as srt, vtt and verbose_json need."""
    trains: Literal[True] | UnsetType = UNSET
    """It learns voices from recordings: jobs of kind training."""
    clones: Literal[True] | UnsetType = UNSET
    """It speaks with clones of recorded voices, which its engine makes at a price: `engines` of a voice."""
    mixes: int | UnsetType = UNSET
    """It blends up to so many voices into one."""
    speaks: Literal[False] | UnsetType = UNSET
    """It speaks no text."""
    spoken_languages: list[str] | UnsetType = UNSET
    """The languages that it speaks well enough. A `*` stands for any."""
    transcribed_languages: list[str] | UnsetType = UNSET
    """The languages that it writes down well enough."""
    jobs_only: Literal[True] | UnsetType = UNSET
    """It speaks on rented machines, for jobs alone. Of an alias: all of its models do."""


class NamedModel(ModelEntry, frozen=True, kw_only=True):
    """A model for clients that show a `name`."""

    name: str


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[ModelEntry]


class AudioModelList(msgspec.Struct, frozen=True, kw_only=True):
    """One list under both keys that clients look for."""

    object: Literal["list"] = "list"
    data: list[NamedModel]
    models: list[NamedModel]


class Models(Resource):
    """The models that the caller may use. A model that the plan would refuse is not shown."""

    def __init__(self, catalogue: Catalogue, plans: Plans, default_model: str) -> None:
        self._catalogue, self._plans, self._default_model = catalogue, plans, default_model

    @endpoint("GET", "/v1/models", ModelList, access="catalogue", failures=(NotAllowed,), pace="list")
    async def list_models(self, request: Request) -> Response:
        """The aliases and every engine/model that the caller's plan may use"""
        return reply(ModelList(data=self._usable_models(request)))

    @endpoint("GET", "/v1/models/{id:path}", ModelEntry, failures=(NotAllowed, NotFound))
    async def get_model(self, request: Request) -> Response:
        """One model"""
        id_ = request.path_params["id"]
        for model in self._usable_models(request):
            if model.id == id_:
                return reply(model)
        raise NotFound(
            f"The model '{id_[:80]}' does not exist or you do not have access to it.",
            param="model",
            code="model_not_found",
        )

    @endpoint(
        "GET", "/v1/audio/models", AudioModelList, access="catalogue", failures=(NotAllowed,), pace="list"
    )
    async def list_audio_models(self, request: Request) -> Response:
        """The same models, each with a name"""
        models = self._usable_models(request)
        named_models = [NamedModel(**msgspec.structs.asdict(model), name=model.id) for model in models]
        return reply(AudioModelList(data=named_models, models=named_models))

    def _usable_models(self, request: Request) -> list[ModelEntry]:
        """Put the default model first. Raise NotAllowed if the caller's plan is not in force."""
        caller = caller_or_none(request.scope)
        # Without a caller the catalogue is public, and shows what any plan may use.
        terms = None if caller is None else self._plans.terms(caller)
        aliases, models = self._catalogue.list_models(terms)
        entries = [
            *map(self._alias_entry, aliases),
            *(
                ModelEntry(
                    id=model.name,
                    owned_by=model.engine,
                    shutdown_date=model.info.shutdown_date or None,
                    licence=model.info.licence or None,
                    is_trained=model.info.is_trained,
                    converts=_true_or_unset(model.info.converts),
                    trains=_true_or_unset(model.info.trains),
                    clones=_true_or_unset(is_cloned_for(model.info)),
                    mixes=model.info.most_mixed if model.info.mixes else UNSET,
                    speaks=UNSET if model.info.speaks else False,
                    spoken_languages=spoken_languages(model.info) if model.info.speaks else UNSET,
                    jobs_only=_true_or_unset(bool(model.info.runner)),
                    **_hearing_fields([model]),
                )
                for model in models
            ),
        ]
        return sorted(entries, key=lambda entry: entry.id != self._default_model)

    def _alias_entry(self, alias: str) -> ModelEntry:
        models = self._catalogue.models_of_alias(alias)
        return ModelEntry(
            id=alias,
            owned_by="voxgate",
            speaks=False if only_hear(models) else UNSET,
            jobs_only=_true_or_unset(self._catalogue.is_for_jobs_only(alias)),
            **_hearing_fields(models),
        )


def _hearing_fields(models: Sequence[Model]) -> dict[str, Any]:
    hearing = [model.info for model in models if model.info.hears]
    tags = [tag for info in hearing for tag in spoken_languages(info)]
    return {
        "hears": _true_or_unset(bool(hearing)),
        "translates": _true_or_unset(any(info.translates for info in hearing)),
        "times_words": _true_or_unset(any(info.times_words for info in hearing)),
        "transcribed_languages": [*dict.fromkeys(tags)] or UNSET,
    }


def _true_or_unset(condition: bool) -> Literal[True] | UnsetType:
    return True if condition else UNSET
