"""One rung of the ladder as a server: `python -m bench.rung NAME FOLDER [STORAGE LIMITS]`; prints its port
and a key.

Each rung does what the one before it does and one thing more, on the same bytes.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bench.clip import PLUGIN, clip
from policies import price
from policies.plans import UNLIMITED, Plan, Prices, build_terms
from policies.price import MICRO, Price
from proxy.access import dev_key
from proxy.app import Worker, open_worker
from proxy.config.sections import Config, EngineSection, LimitsStore, Server, Storage, VoiceSection
from proxy.engines import registry
from proxy.engines.registry import Registry
from proxy.http.connection import Connection
from proxy.http.edge import Edge
from proxy.http.server_protocol import server_protocol
from proxy.ledger import HoldRequest, Spent, SpentPart
from proxy.speech import speech_request
from proxy.speech.speech_request import SpeechRequest
from proxy.telemetry import logs

RUNGS = ("bare", "auth", "routed", "policies", "ledger", "shared", "pipeline")
_CLIP = clip()
_SECOND = Price(60 * MICRO, "minute")
METERED = Plan(
    name=UNLIMITED.name,
    allowance=10**18,
    rpm=10**7,
    streams=1000,
    max_characters=4096,
    prices=Prices(speech=_SECOND),
)
"""Every limit is looked at and none is reached."""
_OFF = build_terms(UNLIMITED)
_SAMPLES = 6 * 24_000
_PART = SpentPart(engine="clip", model="clip", characters=43, estimated_s=3.0, samples=_SAMPLES)
_SPENT = Spent(
    engine="clip",
    model="clip",
    format="mp3",
    characters=43,
    samples=_SAMPLES,
    charged_samples=_SAMPLES,
    parts=(_PART,),
)


class Rung:
    """The endpoint of the rungs between the bare one and the whole pipeline."""

    def __init__(self, name: str, worker: Worker) -> None:
        self._name = name
        self._worker = worker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = Connection(scope, receive, send)
        request = speech_request.parse_speech(
            await connection.body(speech_request.MAX_BODY_BYTES), speech_request.Defaults()
        )
        state = scope["state"]
        match self._name:
            case "routed":
                self._worker.planner.plan(request, _OFF)
            case "policies":
                await self._admitted(request, state)
            case "ledger" | "shared":
                await self._settled(await self._admitted(request, state))
        await Response(_CLIP, media_type="audio/mpeg")(scope, receive, send)

    async def _admitted(self, request: SpeechRequest, state: dict[str, Any]) -> HoldRequest:
        caller = state["caller"]
        terms, state["rate"] = await self._worker.admission.admit(caller)
        plan = self._worker.planner.plan(request, terms)
        return HoldRequest(
            request_id=state["request_id"],
            account=caller.account,
            key=caller.key,
            anchor=caller.anchor,
            terms=plan.terms,
            amount=price.estimate_charge(_SECOND, estimated_s=plan.estimated_s, characters=len(request.text)),
            estimated_s=plan.estimated_s,
        )

    async def _settled(self, wanted: HoldRequest) -> None:
        hold = await self._worker.ledger.hold(wanted)
        await hold.settle("finished", _SPENT)


async def _bare(_request: object) -> Response:
    return Response(_CLIP, media_type="audio/mpeg")


@asynccontextmanager
async def _app(name: str, data: Path, storage: str, limits: str) -> AsyncIterator[tuple[ASGIApp, str]]:
    if name == "bare":
        yield Starlette(routes=[Route("/v1/audio/speech", _bare, methods=["POST"])]), "none"
        return
    config = Config(
        server=Server(default_model="clip/clip"),
        storage=Storage(storage),
        limits=LimitsStore(limits),
        plans={UNLIMITED.name: METERED},
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
            assert isinstance(worker.app, Edge)
            worker.app.direct_routes["POST", "/v1/audio/speech"].app = Rung(name, worker)
        yield worker.public, await dev_key.ensure_dev_key(worker.store, data)


async def _serve(name: str, data: str, storage: str = "sqlite", limits: str = "memory") -> None:
    async with _app(name, Path(data), storage, limits) as (app, key):
        listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
        print(listening.getsockname()[1], key, flush=True)
        config = uvicorn.Config(
            app,
            http=server_protocol(Server()),
            interface="asgi3",
            loop="none",
            lifespan="off",
            access_log=False,
            log_config=None,
        )
        await uvicorn.Server(config).serve(sockets=[listening])


if __name__ == "__main__":
    logs.configure_logs("bench")
    uvloop.run(_serve(*sys.argv[1:]))
