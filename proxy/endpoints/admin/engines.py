"""/admin/engines: the engines of the configuration with their state, and what could not be loaded."""

from __future__ import annotations

from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.endpoints.replies import reply
from proxy.engines.live import Engines, EngineStatus
from proxy.engines.registry import Registry


class FailedPlugin(msgspec.Struct, frozen=True):
    plugin: str
    stage: str
    reason: str


class EngineStatuses(msgspec.Struct, frozen=True, kw_only=True):
    """The engines of the configuration, and the plugins that disabled themselves."""

    object: Literal["list"] = "list"
    data: tuple[EngineStatus, ...]
    faults: list[FailedPlugin]


class EngineList:
    def __init__(self, engines: Engines, registry: Registry) -> None:
        self._engines = engines
        self._registry = registry

    async def list_(self, _request: Request) -> Response:
        faults = [FailedPlugin(fault.name, fault.stage, fault.reason) for fault in self._registry.faults]
        return reply(EngineStatuses(data=await self._engines.statuses(), faults=faults))


def routes(engines: Engines, registry: Registry) -> list[Route]:
    return [Route("/admin/engines", EngineList(engines, registry).list_, methods=["GET"])]
