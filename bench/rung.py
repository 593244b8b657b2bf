"""One rung of the ladder as a server: `python -m bench.rung NAME DATA_FOLDER`; prints its port and a key.

Each rung does what the one before it does and one thing more, on the same bytes.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.clip import PLUGIN, clip
from proxy import dev_key, telemetry, wire
from proxy.app import Worker, open_worker
from proxy.config import Config, EngineSection, Server, VoiceSection
from proxy.endpoints.connection import Connection
from proxy.engines import registry
from proxy.engines.registry import Registry
from proxy.http_protocol import ImpatientProtocol
from proxy.ledger import Ledger

RUNGS = ("bare", "auth", "policies", "usage", "pipeline")
_CLIP = clip()


class Rung:
    """The endpoint of the rungs between the bare one and the whole pipeline."""

    def __init__(self, name: str, worker: Worker) -> None:
        self._name = name
        self._pipeline = worker.pipeline
        self._ledger = Ledger(worker.store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        request = wire.parse_speech(await connection.body(wire.MAX_BODY_BYTES), wire.Defaults())
        if self._name != "auth":
            self._pipeline.plan(request)
        if self._name == "usage":
            state = scope["state"]
            async with self._ledger.hold(state["request_id"], state["caller"]) as hold:
                await hold.settle("finished")
        await Response(_CLIP, media_type="audio/mpeg")(scope, receive, send)


async def _bare(_request: object) -> Response:
    return Response(_CLIP, media_type="audio/mpeg")


@asynccontextmanager
async def _app(name: str, data: Path) -> AsyncIterator[tuple[ASGIApp, str]]:
    if name == "bare":
        yield Starlette(routes=[Route("/v1/audio/speech", _bare, methods=["POST"])]), "none"
        return
    config = Config(
        server=Server(default_model="clip/clip"),
        engines={"clip": EngineSection("clip")},
        models={"tts-1": ("clip/clip",)},
        voices={"alloy": VoiceSection(bindings={"clip": "clip"})},
        data=str(data),
    )
    front_ends = registry.load().plugins("front_end")
    plugins = {("front_end", found): plugin for found, plugin in front_ends.items()}
    plugins["engine", "clip"] = PLUGIN
    async with open_worker(config, Registry(plugins, [])) as worker:
        if name != "pipeline":
            for route in worker.app.routes:
                if isinstance(route, Route) and route.path == "/v1/audio/speech":
                    route.app = Rung(name, worker)
        yield worker.public, await dev_key.ensure(worker.store, data)


async def _serve(name: str, data: Path) -> None:
    async with _app(name, data) as (app, key):
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        print(listening.getsockname()[1], key, flush=True)
        config = uvicorn.Config(
            app,
            http=ImpatientProtocol,
            interface="asgi3",
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
        )
        await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    telemetry.configure_logs("bench")
    uvloop.run(_serve(sys.argv[1], Path(sys.argv[2])))
