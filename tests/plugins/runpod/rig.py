"""The runner as the server opens it, over real sockets, beside a fake whose clock its pauses move."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import msgspec
from structlog.testing import CapturingLogger

from fakes.runpod.app import ENDPOINT, KEY, FakeRunpod
from fakes.runpod.clock import Clock
from fakes.runpod.jobs_api import Desk
from fakes.runpod.queue import JobQueue
from fakes.runpod.working import Handler
from plugins.runpod.pod_runner import PodRunner
from plugins.runpod.serverless import ServerlessRunner
from plugins.runpod.settings import RunpodSettings
from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import Context
from speech_engine.runner import RemotePiece, RemoteState, RemoteWork, Runner
from tests.plugins.runpod.asking import three
from tests.waiting import soon

GPU = "NVIDIA GeForce RTX 4090"
USD_PER_SECOND = 0.0005
PODS: dict[str, Any] = {
    "deployment": "blue",
    "image": "example/far-end:1",
    "gpus": [GPU, "NVIDIA L4"],
    "usd_per_hour": 1.0,
}


class Rig(NamedTuple):
    fake: FakeRunpod
    settings: RunpodSettings
    context: Context
    log: CapturingLogger

    @property
    def serverless(self) -> ServerlessRunner:
        return ServerlessRunner(self.settings, self.context, self.sleep)

    @property
    def pods(self) -> PodRunner:
        """A new process: it knows nothing of an earlier one."""
        return PodRunner(self.settings, self.context, self.sleep, self.fake.clock)

    async def sleep(self, seconds: float) -> None:
        self.fake.clock.advance(seconds)
        await asyncio.sleep(0)

    async def ended(self, runner: Runner, name: str, sent: RemoteWork) -> RemoteState:
        """Look until the work is over."""
        for _ in range(500):
            state = await runner.look(name, sent, 0)
            if state.status not in ("queued", "running"):
                return state
            self.fake.clock.advance(1.0)
            await asyncio.sleep(0.001)
        raise AssertionError(f"it is not over: {state}")

    async def begun(self, count: int = 1) -> None:
        await soon(lambda: len(self.fake.starts) >= count)

    def asked(self, method: str, path: str) -> int:
        """Count the requests of all servers to a path."""
        servers = (self.fake.jobs, self.fake.management, self.fake.proxy)
        return sum(
            record.method == method and path in record.path for server in servers for record in server.seen
        )

    def logged(self) -> list[str]:
        return [str(call.args[0]) for call in self.log.calls]


def work(key: str = "piece.1", most_s: float = 60.0) -> RemoteWork:
    return RemoteWork(key=key, most_s=most_s)


async def remote_worker(job: dict[str, Any]) -> AsyncIterator[Any]:
    """A far end that says its key in two pieces."""
    for number, data in enumerate((job["input"]["key"].encode(), b"end")):
        yield msgspec.to_builtins(RemotePiece(number=number, data=data, is_last=number == 1))


@asynccontextmanager
async def rig(
    handler: Handler = remote_worker, *, queue: dict[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Rig]:
    clock = Clock()
    desk = Desk(JobQueue(clock, handler, usd_per_second=USD_PER_SECOND, **(queue or {})))
    fake = FakeRunpod(handler, clock=clock, endpoints={ENDPOINT: desk})
    if "pods" in settings:
        settings["pods"] = {**PODS, **settings["pods"]}
    else:
        settings = {"endpoint_id": ENDPOINT, "usd_per_second": USD_PER_SECOND, **settings}
    log = CapturingLogger()
    async with three(fake) as urls, open_http(Upstream()) as http:
        if "pods" in settings:
            settings["pods"].setdefault("proxy_url", urls.proxy + "/{pod}")
        section = msgspec.convert(
            {
                "api_key": KEY,
                "jobs_url": f"{urls.jobs}/v2",
                "management_url": f"{urls.management}/v2",
                **settings,
            },
            RunpodSettings,
        )
        yield Rig(fake, section, Context(log, http=http), log)
