"""A worker on a real port with sockets of the test's own, and clients that connect."""

import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from websockets.asyncio.client import ClientConnection, connect

from proxy.app import Worker
from proxy.feature import Additions, FeatureInstance
from proxy.features.sockets.http.open_sockets import OpenSockets
from proxy.features.sockets.http.socket import ClientSocket, SocketEndpoint
from proxy.http.open_connections import OpenConnections
from proxy.http.server_protocol import server_protocol
from tests.proxy.api.inside import TONE, Inside, inside
from tests.proxy.http.sockets import Address, serving

ECHO = "/v1/echo"


async def echo(socket: ClientSocket) -> None:
    """Sends each message back, until the client leaves or says goodbye."""
    await socket.accept()
    while (message := await socket.receive()) != "bye":
        await socket.send(message)


class SocketPort(NamedTuple):
    """The port. `worker` is inside the test's process."""

    inside: Inside
    address: Address
    places: OpenConnections

    @property
    def worker(self) -> Worker:
        return self.inside.worker

    @property
    def sockets(self) -> OpenSockets:
        return self.worker.open_features.context.find(OpenSockets)

    def url(self, path: str = ECHO) -> str:
        host, port = self.address[:2]
        return f"ws://{host}:{port}{path}"

    def connect(
        self, path: str = ECHO, key: str | None = None, headers: dict[str, str] | None = None, **options: Any
    ) -> AbstractAsyncContextManager[ClientConnection]:
        """Connect with the speech key, another one, or none (an empty text)."""
        secret = self.inside.key if key is None else key
        sent = {"authorization": f"Bearer {secret}"} if secret else {}
        return connect(self.url(path), additional_headers={**sent, **(headers or {})}, proxy=None, **options)


def frame(first: int, data: bytes = b"") -> bytes:
    """A frame of a client, masked with zeros."""
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xff" + struct.pack("!Q", len(data))
    return bytes([first]) + size + bytes(4) + data


ECHOING = (SocketEndpoint(ECHO, echo, "echo"),)


@asynccontextmanager
async def socket_port(
    folder: Path, endpoints: Sequence[SocketEndpoint] = ECHOING, text: str = TONE
) -> AsyncIterator[SocketPort]:
    async with inside(folder, text) as opened:
        worker = opened.worker
        with_sockets(worker, endpoints)
        server = worker.kernel.config.server
        places = OpenConnections(server, worker.metrics.connections)
        async with serving(worker.public, server_protocol(server, places)) as address:
            yield SocketPort(opened, address, places)


def with_sockets(worker: Worker, endpoints: Sequence[SocketEndpoint]) -> None:
    """Give a worker a feature that adds these sockets."""
    context = worker.open_features.context
    opened = context.find(OpenSockets).socket_endpoints(endpoints)
    feature = FeatureInstance(context, additions_for=lambda _: Additions(sockets=opened))
    features = (*worker.open_features.features, feature)
    worker.open_features = worker.open_features._replace(features=features)
    worker.revise(worker.kernel.config)
