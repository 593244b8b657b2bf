"""The one WebSocket client: messages, refused handshakes, ends of every kind, and places that come back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import EngineFailed, EngineTimeout, EngineUnavailable, HandshakeRefused, SocketRequest
from tests.proxy.engines.servers import tunnel_proxy
from tests.server import free_port
from tests.tables import each_row
from tests.waiting import forever, soon

SECRET = "sk-never-to-be-told"


class Seen:
    """What came to the server: the keys of the handshakes, and the connections that are open."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.open = 0


async def deaf(request: web.Request) -> web.WebSocketResponse:
    """Open a connection, and read nothing of it."""
    await web.WebSocketResponse().prepare(request)
    await forever()
    raise AssertionError


@asynccontextmanager
async def served(seen: Seen) -> AsyncIterator[str]:
    async def echo(request: web.Request) -> web.WebSocketResponse:
        seen.keys.append(request.headers["api-key"])
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        seen.open += 1
        try:
            async for message in socket:
                match message.data:
                    case "close":
                        await socket.close(code=1011)
                    case "cut":
                        assert request.transport
                        request.transport.abort()
                    case "long":
                        await socket.send_str("x" * 5000)
                    case other:
                        await socket.send_str(other.upper())
        finally:
            seen.open -= 1
        return socket

    async def refused(request: web.Request) -> web.Response:
        seen.keys.append(request.headers["api-key"])
        return web.json_response(
            {"error": {"code": "insufficient_quota"}}, status=429, headers={"Retry-After": "7"}
        )

    async def elsewhere(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect("/echo")

    async def silent(_request: web.Request) -> web.Response:
        await forever()
        raise AssertionError

    app = web.Application()
    for path, handler in (
        ("echo", echo),
        ("refused", refused),
        ("elsewhere", elsewhere),
        ("deaf", deaf),
        ("silent", silent),
    ):
        app.router.add_get(f"/{path}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := free_port())
    await site.start()
    try:
        yield f"ws://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def to(url: str, within_s: float = 5.0) -> SocketRequest:
    return SocketRequest(url=url, headers={"api-key": SECRET}, within_s=within_s, most_message_bytes=4096)


async def test_messages_go_both_ways_and_the_end_of_the_block_closes() -> None:
    async with served(seen := Seen()) as url, open_http(Upstream()) as client:
        async with client.connect(to(f"{url}/echo")) as socket:
            await socket.send("hello")
            assert await socket.next_message() == b"HELLO"
            assert socket.close_code is None
        async with asyncio.timeout(5):
            await soon(lambda: seen.open == 0)
    assert seen.keys == [SECRET]


@each_row(("said", "code"), [("close", 1011), ("cut", 1006), ("long", 1009)])
async def test_every_end_is_an_end(said: str, code: int) -> None:
    async with served(Seen()) as url, open_http(Upstream()) as client:
        async with client.connect(to(f"{url}/echo")) as socket:
            await socket.send(said)
            assert await socket.next_message() is None
            assert socket.close_code == code
            with pytest.raises(EngineFailed):
                await socket.send("more")


async def test_a_refused_handshake_has_its_status_its_headers_and_its_body() -> None:
    async with served(Seen()) as url, open_http(Upstream()) as client:
        with pytest.raises(HandshakeRefused) as caught:
            async with client.connect(to(f"{url}/refused")):
                pass
    refusal = caught.value
    assert (refusal.status, refusal.headers["retry-after"]) == (429, "7")
    assert b"insufficient_quota" in refusal.body
    assert SECRET not in repr(refusal)


async def test_a_key_goes_to_no_other_address() -> None:
    async with served(seen := Seen()) as url, open_http(Upstream()) as client:
        with pytest.raises(HandshakeRefused) as caught:
            async with client.connect(to(f"{url}/elsewhere")):
                pass
    assert caught.value.status == 307
    assert seen.keys == []


async def test_nobody_there_and_nobody_answers_are_two_things() -> None:
    async with served(Seen()) as url, open_http(Upstream()) as client:
        with pytest.raises(EngineUnavailable):
            async with client.connect(to(f"ws://127.0.0.1:{free_port()}")):
                pass
        with pytest.raises(EngineTimeout):
            async with client.connect(to(f"{url}/silent", within_s=0.1)):
                pass


async def test_a_place_comes_back_after_every_way_out() -> None:
    async with served(Seen()) as url, open_http(Upstream(connections=1)) as client:
        for path in ("refused", "echo", "silent", "echo"):
            try:
                async with client.connect(to(f"{url}/{path}", within_s=0.2 if path == "silent" else 5.0)):
                    with pytest.raises(EngineTimeout):
                        async with client.connect(to(f"{url}/echo", within_s=0.05)):
                            pass
            except (HandshakeRefused, EngineTimeout):
                assert path != "echo"


async def test_a_place_comes_back_from_one_who_is_cancelled_while_he_closes() -> None:
    leaves = asyncio.Event()
    async with served(Seen()) as url, open_http(Upstream(connections=1)) as client:

        async def leave() -> None:
            async with client.connect(to(f"{url}/deaf")):
                leaves.set()

        leaving = asyncio.create_task(leave())
        await leaves.wait()
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        async with client.connect(to(f"{url}/echo")):
            pass


async def test_a_forward_proxy_tunnels_a_connection() -> None:
    async with served(seen := Seen()) as url, tunnel_proxy() as proxy:
        async with open_http(Upstream(proxy=proxy.url.replace("//", f"//ada:{SECRET}@"))) as client:
            async with client.connect(to(f"{url}/echo")) as socket:
                await socket.send("hello")
                assert await socket.next_message() == b"HELLO"
    assert (f"ws://{proxy.asked[0]}", len(proxy.keys), seen.keys) == (url, 1, [SECRET])


async def test_the_environment_names_the_proxy_of_a_socket_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async with served(seen := Seen()) as url, tunnel_proxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        async with open_http(Upstream()) as client, client.connect(to(f"{url}/echo")):
            pass
    assert (f"ws://{proxy.asked[0]}", seen.keys) == (url, [SECRET])


async def test_no_repr_shows_a_key() -> None:
    async with served(Seen()) as url, open_http(Upstream()) as client:
        async with client.connect(to(f"{url}/echo")) as socket:
            assert SECRET not in f"{to(url)!r} {socket!r} {client!r}"
