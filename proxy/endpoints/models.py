"""GET /v1/models and /v1/models/{id}, and /v1/audio/models for clients that look for the key `models`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.catalogue import Catalogue
from proxy.endpoints.replies import list_reply, reply
from proxy.errors import NotFound

_CREATED = 1_767_225_600
"""The start of 2026: clients want a number in seconds that stays the same, and nothing reads it."""


class Models:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    async def list_(self, _request: Request) -> Response:
        return list_reply(self._all())

    async def list_audio(self, _request: Request) -> Response:
        named = [{**model, "name": model["id"]} for model in self._all()]
        return list_reply(named, models=named)

    async def retrieve(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        for model in self._all():
            if model["id"] == wanted:
                return reply(model)
        raise NotFound(
            f"The model '{wanted[:80]}' does not exist or you do not have access to it.",
            param="model",
            code="model_not_found",
        )

    def _all(self) -> list[dict[str, Any]]:
        aliases = [_model(alias, "voxgate") for alias in self._catalogue.aliases]
        return aliases + [_model(model.name, model.engine) for model in self._catalogue.models()]


def routes(catalogue: Catalogue) -> list[Route]:
    models = Models(catalogue)
    return [
        Route("/v1/models", models.list_),
        Route("/v1/models/{id:path}", models.retrieve),
        Route("/v1/audio/models", models.list_audio),
    ]


def _model(id_: str, owner: str) -> dict[str, Any]:
    # OpenAI switches its speech models off in January 2027; ours of the same names stay: no shutdown.
    return {"id": id_, "object": "model", "created": _CREATED, "owned_by": owner, "shutdown_date": None}
