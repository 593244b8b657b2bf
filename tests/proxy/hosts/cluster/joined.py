"""The links of a gateway without a links process: hosts that join, and answer at paths of the test."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc

from proxy.hosts.cluster.links_child import LinksChild
from proxy.hosts.links.link_messages import AGENT, HostGone, HostJoined
from tests.speech_engine.host.fakes import short_folder

NOBODY = "/nobody"
"""A path at which nobody listens."""


class JoinedLinks(LinksChild):
    def __init__(self, **paths: str) -> None:
        tools: Any = SimpleNamespace(folder=Path("/links"))
        super().__init__(tools)
        self._paths = dict[str, str]()
        for machine, path in paths.items():
            self.join(machine, path)

    def open_target(self, machine: str, target: str) -> str:
        if target != AGENT:
            return super().open_target(machine, target)
        return self._targets.setdefault(machine, {}).setdefault(AGENT, self._paths[machine])

    def join(
        self, machine: str, path: str = NOBODY, *, engines: Sequence[str] = ("xtts",), cluster: str = "gpu"
    ) -> None:
        self._paths[machine] = path
        self._take_news(HostJoined(machine, "acc", "key", cluster, "0.2.0", tuple(engines), "10.0.0.5"))

    def lose(self, machine: str) -> None:
        self._take_news(HostGone(machine))


@asynccontextmanager
async def answering(*handlers: grpc.GenericRpcHandler) -> AsyncIterator[list[str]]:
    """A server for each handler, and their paths."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(short_folder())
        paths = [str(folder / f"a{number}.sock") for number in range(len(handlers))]
        for path, handler in zip(paths, handlers, strict=True):
            server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
            server.add_insecure_port(f"unix:{path}")
            server.add_generic_rpc_handlers((handler,))
            await server.start()
            stack.push_async_callback(server.stop, None)
        yield paths
