"""The management API v2: pods, their actions, the catalog and the bill. Its refusals are problem+json."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fakes.faults import ScriptedFault, scripted
from fakes.runpod.clock import Clock
from fakes.runpod.pods import Fleet, Pod, PodOrder, catalog
from fakes.runpod.rates import Window

_ACTIONS = ("start", "stop", "restart", "terminate")
_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    409: "Conflict",
    422: "Unprocessable Entity",
    429: "Too Many Requests",
}
_UNKNOWN_FIELD = re.compile(r"unknown field `(.+?)`")

Answer = Callable[[Request], Awaitable[Response]]


class Management:
    """The API of an account. `quota` is the most requests in a minute."""

    def __init__(self, fleet: Fleet, clock: Clock, key: str, quota: int = 600) -> None:
        self.fleet = fleet
        self.minute = Window(clock, quota, 60.0)
        self._clock = clock
        self._key = key

    def __repr__(self) -> str:
        return f"<Management of {self.fleet!r}>"

    def routes(self) -> list[Route]:
        return [
            self._route("/v2/pods", "POST", self._create),
            self._route("/v2/pods", "GET", self._list),
            self._route("/v2/pods/{pod}", "GET", self._with_pod(self._show)),
            self._route("/v2/pods/{pod}", "DELETE", self._with_pod(self._delete)),
            self._route("/v2/pods/{pod}/action", "POST", self._with_pod(self._act)),
            self._route("/v2/catalog/gpus", "GET", self._catalog),
            self._route("/v2/billing/pods", "GET", self._bill),
        ]

    def _route(self, path: str, method: str, answer: Answer) -> Route:
        async def endpoint(request: Request) -> Response:
            quota = self.minute.count()
            headers = {
                "ratelimit-policy": f'"minute";q={self.minute.most};w=60',
                "ratelimit": f'"minute";r={quota.left};t={quota.again_s}',
            }
            if request.headers.get("authorization") != f"Bearer {self._key}":
                response = problem(401, "the key is not known")
            elif refused := _refusal(scripted(request.scope)):
                response = refused
            elif quota.is_over:
                response = problem(429, "too many requests")
                headers["retry-after"] = str(quota.again_s)
            else:
                response = await answer(request)
            response.headers.update(headers)
            return response

        return Route(path, endpoint, methods=[method])

    def _with_pod(self, answer: Callable[[Request, Pod], Awaitable[Response]]) -> Answer:
        async def endpoint(request: Request) -> Response:
            pod = self.fleet.get(request.path_params["pod"])
            return problem(404, "pod not found") if pod is None else await answer(request, pod)

        return endpoint

    async def _create(self, request: Request) -> Response:
        try:
            order = msgspec.json.decode(await request.body(), type=PodOrder)
        except msgspec.ValidationError as error:
            return _unprocessable(error)
        except msgspec.DecodeError:
            return problem(400, "the body is no JSON")
        if (order.gpu is None) == (order.cpu is None):
            return problem(400, "exactly one of gpu and cpu must be set")
        if order.mounts and order.mounts.network and order.mounts.persistent:
            return problem(400, "mounts.network and mounts.persistent exclude each other")
        if order.mounts and order.mounts.persistent and order.cpu:
            return problem(400, "mounts.persistent is invalid with cpu")
        if order.gpu and order.gpu.id not in self.fleet.types:
            return problem(400, f"unknown gpu {order.gpu.id}")
        pod = self.fleet.create(order)
        if pod is None:
            return problem(400, "There are no longer any instances available with these specifications.")
        return _json(pod.described(self._clock()), 201)

    async def _list(self, _request: Request) -> Response:
        # Unknown query fields are ignored, and no field is known.
        now = self._clock()
        shown = [pod.described(now) for id_ in self.fleet.pods if (pod := self.fleet.get(id_))]
        return _json({"pods": shown})

    async def _show(self, _request: Request, pod: Pod) -> Response:
        return _json(pod.described(self._clock()))

    async def _delete(self, _request: Request, pod: Pod) -> Response:
        self.fleet.act(pod, "terminate")
        return Response(status_code=204)

    async def _act(self, request: Request, pod: Pod) -> Response:
        try:
            action = msgspec.json.decode(await request.body(), type=dict[str, str]).get("action", "")
        except msgspec.DecodeError:
            return problem(400, "the body is no JSON")
        if action not in _ACTIONS:
            return problem(422, "the action is unknown", [f"action: {action}"])
        if not self.fleet.act(pod, action):
            return problem(409, f"a pod that is {pod.status(self._clock())} cannot {action}")
        return Response(status_code=204) if action == "terminate" else _json(pod.described(self._clock()))

    async def _catalog(self, request: Request) -> Response:
        include, product = request.query_params.get("include"), request.query_params.get("product")
        if include is not None and product is None:
            return problem(400, "include needs product")
        return _json(catalog(self.fleet.types, with_stock=include == "AVAILABILITY"))

    async def _bill(self, _request: Request) -> Response:
        now = self._clock()
        records = [{"podId": pod.id, "amount": pod.spent(now)} for pod in self.fleet.pods.values()]
        return _json({"records": records, "metadata": {"totals": {"amount": self.fleet.spent_usd}}})


def problem(status: int, detail: str, errors: list[str] | None = None) -> Response:
    described: dict[str, Any] = {"title": _TITLES.get(status, "Error"), "status": status, "detail": detail}
    if errors:
        described["errors"] = errors
    return Response(msgspec.json.encode(described), status, media_type="application/problem+json")


def _refusal(fault: ScriptedFault | None) -> Response | None:
    if fault is None or fault.name not in ("429", "5xx"):
        return None
    refused = problem(429 if fault.name == "429" else fault.status, "not now")
    if fault.retry_after is not None:
        refused.headers["retry-after"] = fault.retry_after
    return refused


def _unprocessable(error: msgspec.ValidationError) -> Response:
    unknown = _UNKNOWN_FIELD.search(str(error))
    return problem(422, "the request is invalid", [f"{unknown[1]}: unknown field" if unknown else str(error)])


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
