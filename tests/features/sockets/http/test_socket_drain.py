"""A server that stops, with sockets open: the front of a worker, in the test's process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import connect

from proxy.features.sockets.http.socket import SocketEndpoint
from proxy.processes.fronts import HttpFront
from tests.features.sockets.http.socket_rig import ECHOING, with_sockets
from tests.features.sockets.http.test_socket_ends import Speaker, closed
from tests.proxy.api.inside import inside

WAIT_S = 20.0


@asynccontextmanager
async def front(
    folder: Path, speaker: Speaker, drain_s: float = 10.0
) -> AsyncIterator[tuple[HttpFront, str]]:
    """A front with a silent and a speaking client."""
    async with asyncio.timeout(WAIT_S), inside(folder) as opened:
        with_sockets(opened.worker, (*ECHOING, SocketEndpoint("/v1/speak", speaker.speak, "speak")))
        config = opened.worker.kernel.config
        config = msgspec.structs.replace(
            config, server=msgspec.structs.replace(config.server, drain_s=drain_s)
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            port = listener.getsockname()[1]
            serving = HttpFront(opened.worker, config, listener)
            running = asyncio.create_task(serving.run())
            try:
                yield serving, f"ws://127.0.0.1:{port}|{opened.key}"
            finally:
                serving.stop()
                await running


@pytest.mark.parametrize("leaves_first", [False, True])
async def test_a_stop_lets_what_is_spoken_end(tmp_path: Path, leaves_first: bool) -> None:
    speaker = Speaker()
    async with front(tmp_path, speaker) as (serving, address):
        url, _, key = address.partition("|")
        headers = {"authorization": f"Bearer {key}"}
        async with (
            connect(f"{url}/v1/echo", additional_headers=headers, proxy=None) as silent,
            connect(f"{url}/v1/speak", additional_headers=headers, proxy=None) as speaking,
        ):
            assert await speaking.recv() == "begins"
            if leaves_first:
                serving.let_clients_go()
            serving.stop()
            assert (await closed(silent))[0] == 1001
            speaker.is_done.set()
            assert await speaking.recv() == "done"
            assert (await closed(speaking))[0] == 1001
    assert type(speaker.error) is asyncio.CancelledError


async def test_the_end_of_the_drain_interrupts(tmp_path: Path) -> None:
    speaker = Speaker()
    async with front(tmp_path, speaker) as (serving, address):
        url, _, key = address.partition("|")
        headers = {"authorization": f"Bearer {key}"}
        async with connect(f"{url}/v1/speak", additional_headers=headers, proxy=None) as speaking:
            assert await speaking.recv() == "begins"
            serving.stop(within_s=0)
            assert await speaking.recv() == "interrupted"
            assert await closed(speaking) == (1001, "interrupted")
    assert (type(speaker.error), speaker.was_gone) == (asyncio.CancelledError, False)
