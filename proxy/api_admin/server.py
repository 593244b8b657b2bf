"""/admin/server and /admin/reload, for commands alone: they are on control.sock, and no key reaches them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy import __version__
from proxy.config.sections import Config
from proxy.errors import InvalidRequest
from proxy.http.endpoint import Endpoint, json
from proxy.http.replies import reply
from proxy.storage.erasures import Tombstone
from speech_engine.host.pipe_messages import (
    ReloadResult,
)


class ServerLink(NamedTuple):
    """The place where a worker's server listens, and the way to its supervisor."""

    host: str
    port: int
    reload: Callable[[], Awaitable[ReloadResult]]
    spread: Callable[[Tombstone], Awaitable[bool]]


class RunningServer(msgspec.Struct, frozen=True, kw_only=True):
    """The running server: where it listens, and where its metrics page is."""

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


class ServerEndpoints:
    def __init__(self, link: ServerLink, config: Config) -> None:
        self._link = link
        self._config = config

    async def show(self, _request: Request) -> Response:
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

    async def reload(self, _request: Request) -> Response:
        result = await self._link.reload()
        if result.refusal:
            raise InvalidRequest(result.refusal, param="config")
        return reply(Reloaded(changed=result.changed, needs_restart=result.needs_restart))


def routes(link: ServerLink, config: Config) -> list[Endpoint]:
    server = ServerEndpoints(link, config)
    return [
        Endpoint(
            "GET", "/admin/server", server.show, "get_server", "The running server", json(RunningServer)
        ),
        Endpoint(
            "POST",
            "/admin/reload",
            server.reload,
            "reload_config",
            "Read the configuration again",
            json(Reloaded),
            failures=(InvalidRequest,),
        ),
    ]
