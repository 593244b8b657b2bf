"""A host that dials: several gateways behind one address, surpluses, refusals, and proxies."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.http11 import Request
from websockets.server import ServerProtocol

from proxy.hosts.links import dialler
from proxy.hosts.links.dialler import Dialler
from proxy.hosts.links.gateway_links import GatewayLinks, LocalConnection
from proxy.hosts.links.handshake import LinkRefusal, refusal_bytes
from proxy.hosts.links.link_messages import BeginDialling, Joining
from tests.proxy.hosts.links.link_rig import MACHINE
from tests.waiting import soon

_MOST_S = 10.0
_GATEWAYS = [f"mch_{number:024x}" for number in range(3)]


class _Front(asyncio.Protocol):
    """A connection until the end of its handshake."""

    def __init__(self, gateways: _Gateways) -> None:
        self._gateways, self._head = gateways, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._head += data
        if self._head.endswith(b"\r\n\r\n"):
            self._gateways.answer_handshake(self._head, self._transport)


class _Gateways:
    """Gateways behind one address. `choose` is the load balancer: it gets how many dials came before."""

    def __init__(self, count: int, choose: Callable[[int], int]) -> None:
        self.links = [GatewayLinks(each, 0.0, lambda _news: None) for each in _GATEWAYS[:count]]
        for each in self.links:
            each.set_gateways(count)
        self.dials = 0
        self.heads: list[bytes] = []
        self.answer = b""  # in place of a link
        self._choose = choose

    def answer_handshake(self, head: bytes, transport: asyncio.Transport) -> None:
        self.heads.append(head)
        self.dials += 1
        if self.answer:
            transport.write(self.answer)
            transport.close()
            return
        frames = ServerProtocol()
        frames.receive_data(head)
        (request,) = frames.events_received()
        assert isinstance(request, Request)
        key = request.headers["Sec-WebSocket-Key"]
        links = self.links[self._choose(self.dials - 1)]
        found = links.admit_link(Joining("key_1", "acct_1", "gpu", 9, MACHINE, "1", ("tone",), "", key))
        if isinstance(found, LinkRefusal):
            transport.write(refusal_bytes(found))
            transport.close()
            return
        found.connection_made(transport)
        transport.set_protocol(found)

    def waiting(self) -> list[int]:
        return [sum(len(host.waiting) for host in links.hosts.values()) for links in self.links]

    async def ask(self, target: str, gateway: int = 0) -> socket.socket:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        host = self.links[gateway].hosts[MACHINE]
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: LocalConnection(host, target), theirs)
        return ours


@asynccontextmanager
async def _dialling(
    folder: Path,
    count: int = 1,
    choose: Callable[[int], int] = lambda _dial: 0,
    api_key: str = "vg-secret",
) -> AsyncIterator[tuple[_Gateways, Dialler]]:
    gateways = _Gateways(count, choose)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Front(gateways), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    host = Dialler(url, BeginDialling((url,), api_key, MACHINE, "1.2", ("tone", "xtts"), str(folder)))
    running = asyncio.create_task(host.run_dialler())
    try:
        yield gateways, host
    finally:
        running.cancel()
        await asyncio.wait([running])
        host.close_links()
        for links in gateways.links:
            links.close_links()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0)


async def test_it_keeps_two_links_waiting_and_joins_them_to_its_processes(tmp_path: Path) -> None:
    greeting = b"a gRPC server speaks first"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async with asyncio.timeout(_MOST_S), _dialling(tmp_path) as (gateways, _):
        process = await asyncio.start_unix_server(serve, tmp_path / "tone.0.1.sock")
        await soon(lambda: gateways.waiting() == [2])
        assert b"\r\nAuthorization: Bearer vg-secret\r\n" in gateways.heads[0]
        assert b"\r\nVoxgate-Engines: tone,xtts\r\n" in gateways.heads[0]
        local, loop = await gateways.ask("tone.0.1"), asyncio.get_running_loop()
        sent = bytes(range(256)) * 4000
        sending = asyncio.create_task(loop.sock_sendall(local, sent))
        heard = bytearray()
        while len(heard) < len(greeting) + len(sent):
            heard += await loop.sock_recv(local, 65536)
        assert heard == greeting + sent
        await sending
        await soon(lambda: gateways.waiting() == [2])
        # A process that is not there, and a name that is none, end the connection alone.
        for target in ("tone.0.9", "../config"):
            lost = await gateways.ask(target)
            assert await loop.sock_recv(lost, 1) == b""
            lost.close()
        await soon(lambda: gateways.waiting() == [2])
        local.close()
        process.close()


async def test_a_key_in_a_file_is_read_at_each_dial(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("vg-first\n")
    async with asyncio.timeout(_MOST_S), _dialling(tmp_path, api_key=f"file:{file}") as (gateways, _):
        await soon(lambda: gateways.waiting() == [2])
        assert b"\r\nAuthorization: Bearer vg-first\r\n" in gateways.heads[-1]
        file.write_text("vg-second")
        gateways.links[0].note_keys(frozenset({"key_1"}))
        await soon(lambda: b"\r\nAuthorization: Bearer vg-second\r\n" in gateways.heads[-1])


async def test_it_dials_on_until_it_has_met_all_gateways(tmp_path: Path) -> None:
    balancers: dict[str, Callable[[int], int]] = {
        "in turns": lambda dial: dial % 3,
        "the last one seldom": lambda dial: 2 if dial % 7 == 6 else dial % 2,
    }
    for name, choose in balancers.items():
        folder = tmp_path / name.replace(" ", "")
        async with asyncio.timeout(_MOST_S), _dialling(folder, 3, choose) as (gateways, _):
            await soon(lambda: gateways.waiting() == [2, 2, 2])
            assert gateways.dials < 40, name


async def test_a_gateway_that_is_never_met_is_dialled_ever_more_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialler, "_FIRST_PAUSE_S", 100.0)
    async with asyncio.timeout(_MOST_S), _dialling(tmp_path, 2) as (gateways, host):
        await soon(lambda: host._surpluses >= dialler._MOST_SURPLUSES)
        assert gateways.waiting()[0] >= 2
        assert gateways.dials < 40
        dials = gateways.dials
        await asyncio.sleep(0.02)
        assert gateways.dials == dials


async def test_a_pause_after_surpluses_ends_when_a_gateway_that_was_met_needs_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialler, "_FIRST_PAUSE_S", 0.0)
    url = "http://127.0.0.1:1"
    host = Dialler(url, BeginDialling((url,), "vg-secret", MACHINE, "1.2", (), str(tmp_path)))
    async with asyncio.timeout(_MOST_S):
        resting = asyncio.create_task(host._rest(100.0, has_failed=False))
        failed = asyncio.create_task(host._rest(100.0, has_failed=True))
        await asyncio.sleep(0)
        host._waiting["mch_1"] = set()  # both of its links are used
        host._changed.set()
        await resting
        assert not failed.done()
        failed.cancel()
        await asyncio.wait([failed])


async def test_links_that_end_are_dialled_anew_and_more_when_more_are_wanted(tmp_path: Path) -> None:
    async with asyncio.timeout(_MOST_S), _dialling(tmp_path) as (gateways, _):
        await soon(lambda: gateways.waiting() == [2])
        gateways.links[0].hosts[MACHINE].end_links()
        await soon(lambda: gateways.waiting() == [2] and gateways.dials == 4)
        make = asyncio.Protocol
        process = await asyncio.get_running_loop().create_unix_server(make, str(tmp_path / "agent.sock"))
        connections = [await gateways.ask("agent") for _ in range(10)]
        await soon(lambda: gateways.waiting() == [2] and gateways.dials >= 14)
        for each in connections:
            each.close()
        process.close()


_ANSWERS = {
    "401 Unauthorized": "the key is unknown, revoked or expired",
    "403 Forbidden": "the key is for another cluster",
    "404 Not Found": "this gateway is older",
    "302 Found": "it leads elsewhere",
    "407 Proxy Authentication Required": "the proxy wants a name",
    "426 Upgrade Required": "a proxy in between removes the headers",
    "200 OK": "the answer is 200 of nginx",
}


@pytest.mark.parametrize("answer", _ANSWERS)
async def test_a_refusal_is_logged_once_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    monkeypatch.setattr(dialler, "_FIRST_PAUSE_S", 0.0)
    async with asyncio.timeout(_MOST_S), _dialling(tmp_path) as (gateways, host):
        body = b'{"error": {"message": "No."}}'
        head = f"HTTP/1.1 {answer}\r\nServer: nginx\r\nLocation: http://127.0.0.1:1/\r\n"
        gateways.answer = head.encode() + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        await soon(lambda: gateways.dials > 10)
        assert _ANSWERS[answer] in (host._fault or "")
        assert "vg-secret" not in (host._fault or "")
        gateways.answer = b""
        await soon(lambda: gateways.waiting() == [2])
        await soon(lambda: host._fault == "")


async def test_it_goes_through_a_proxy_by_connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets, tunnels = list[bytes](), set[asyncio.Task[Any]]()

    async def tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        targets.append(head)
        tunnels.add(asyncio.current_task())  # type: ignore[arg-type]  # it runs in one
        host, _, port = head.split()[1].decode().rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))

    proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://me:secret@127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")
    async with asyncio.timeout(_MOST_S), _dialling(tmp_path) as (gateways, _):
        await soon(lambda: gateways.waiting() == [2])
        assert targets[0].startswith(b"CONNECT 127.0.0.1:")
        assert b"Proxy-Authorization: Basic " in targets[0]
        assert b"Proxy-Authorization" not in gateways.heads[0]
    proxy.close()
    await asyncio.wait(tunnels)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
