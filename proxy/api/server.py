"""/admin/server, /admin/reload and the switch of engines, for commands alone: no key reaches control.sock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy import __version__
from proxy.config.sections import Config
from proxy.errors import InvalidRequest, NotFound
from proxy.http.body import read_body
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint
from proxy.storage.tombstones import Tombstone
from speech_engine.host.pipe_messages import (
    EngineAction,
    EngineSwitched,
    ReloadResult,
    SupervisorAnswer,
    WorkerQuestion,
)


async def _no_supervisor(_question: Callable[[int], WorkerQuestion], _within_s: float) -> SupervisorAnswer:
    raise TimeoutError


class ServerLink(NamedTuple):
    """What a worker knows of its server: the id of its start (`machine`), where it listens, and how to reach
    the supervisor. Its parts answer what is asked (with the seconds of the wait) and sent."""

    machine: str
    host: str
    port: int
    reload_config: Callable[[], Awaitable[ReloadResult]]
    spread_tombstone: Callable[[Tombstone], Awaitable[bool]]
    switch_engine: Callable[[str, EngineAction, bool], Awaitable[EngineSwitched]]
    ask: Callable[[Callable[[int], WorkerQuestion], float], Awaitable[SupervisorAnswer]] = _no_supervisor
    send: Callable[[WorkerQuestion], None] = lambda _word: None


class RunningServer(msgspec.Struct, frozen=True, kw_only=True):
    """The running server: where it listens, and where its metrics page is. A worker has no port: 0."""

    version: str
    host: str
    port: int
    metrics: str
    workers: int
    config: str


class Reloaded(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that count from now on, and those that count after a restart."""

    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


class SwitchEngine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with an engine. `now` breaks off the jobs that it speaks."""

    action: EngineAction
    now: bool = False


class SwitchedEngine(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    action: EngineAction


class ServerEndpoints(Resource):
    def __init__(self, link: ServerLink, config: Config) -> None:
        self._link = link
        self._config = config

    @endpoint("GET", "/admin/server", RunningServer)
    async def get_server(self, _request: Request) -> Response:
        """The running server"""
        server = self._config.server
        return reply(
            RunningServer(
                version=__version__,
                host=self._link.host,
                port=self._link.port,
                metrics=server.metrics,
                workers=server.workers,
                config=self._config.source,
            )
        )

    @endpoint("POST", "/admin/reload", Reloaded, failures=(InvalidRequest,))
    async def reload_config(self, _request: Request) -> Response:
        """Read the configuration again"""
        result = await self._link.reload_config()
        if result.refusal:
            raise InvalidRequest(result.refusal, param="config")
        return reply(Reloaded(changed=result.changed, needs_restart=result.needs_restart))

    @endpoint("POST", "/admin/engines/{name}/switch", SwitchedEngine, body=SwitchEngine, failures=(NotFound,))
    async def switch_engine(self, request: Request) -> Response:
        """Load, unload or restart an engine"""
        name = request.path_params["name"]
        order = await read_body(request, SwitchEngine)
        if name not in self._config.engines:
            known = ", ".join(self._config.engines)
            raise NotFound(f"There is no engine {name!r}. The engines are: {known}.")
        refusal = (await self._link.switch_engine(name, order.action, order.now)).refusal
        if refusal:
            raise InvalidRequest(refusal, param="name")
        return reply(SwitchedEngine(name=name, action=order.action))
