"""The lean client: connections that are used again, bounds, and what a request gives back however it ends."""

import asyncio
import socket
import ssl

import pytest

from proxy.config.sections import Upstream
from proxy.engines.http import http1_connection
from proxy.engines.http.upstream_http import UpstreamClient, open_http
from speech_engine import EngineError, EngineFailed, EngineTimeout, EngineUnavailable, HttpForm, HttpRequest
from tests.proxy.engines.servers import Act, answer, bare, begun
from tests.proxy.engines.test_upstream_http import CERTIFICATE
from tests.server import free_port
from tests.tables import each_row
from tests.waiting import forever, soon

MEGABYTE = 1024 * 1024
PIECE = b"x" * (64 * 1024)


def post(url: str, within_s: float = 5.0, method: str = "POST") -> HttpRequest:
    return HttpRequest(method=method, url=url, within_s=within_s, silence_s=5.0)


async def ask(client: UpstreamClient, request: HttpRequest) -> bytes:
    async with client.send(request) as found:
        return await found.read()


@pytest.mark.clock
async def test_an_idle_connection_closes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1_connection, "_IDLE_S", 0.05)
    async with bare(answer()) as server, open_http(Upstream()) as client:
        await ask(client, post(server.url))
        await soon(lambda: server.open == 0)
        assert repr(client) == "<UpstreamClient <ConnectionPool 0 busy, 0 idle>>"


@pytest.mark.clock
async def test_the_time_of_an_idle_connection_does_not_end_its_next_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http1_connection, "_IDLE_S", 0.1)
    async with bare(answer()) as server, open_http(Upstream()) as client:
        await ask(client, post(server.url))
        server.acts = (0.3, answer(b"late"))
        assert await ask(client, post(server.url)) == b"late"
        assert server.connections == 1


async def test_a_request_has_less_time_than_the_one_before_it_on_its_connection() -> None:
    async with bare(answer()) as server, open_http(Upstream()) as client, asyncio.timeout(10):
        await ask(client, HttpRequest(method="POST", url=server.url, within_s=60.0, silence_s=60.0))
        server.acts = ()
        with pytest.raises(EngineTimeout):
            await ask(client, post(server.url, within_s=0.2))
        assert server.connections == 1


async def test_a_connection_that_closed_while_idle_is_not_used() -> None:
    async with bare(answer(b"a")) as server, open_http(Upstream()) as client:
        for _ in range(3):
            assert await ask(client, post(server.url)) == b"a"
            await server.close()
            await soon(lambda: server.open == 0)
            await asyncio.sleep(0.01)
        assert (server.connections, len(server.heads)) == (3, 3)


@each_row(("method", "asked"), [("POST", 2), ("PATCH", 2), ("GET", 3), ("DELETE", 3)])
async def test_only_what_charges_nothing_is_sent_again_where_a_used_connection_breaks(
    method: str, asked: int
) -> None:
    async with bare(answer()) as server, open_http(Upstream()) as client:
        await ask(client, post(server.url))
        server.acts = (server.close,)
        with pytest.raises(EngineFailed):
            await ask(client, post(server.url, method=method))
        assert len(server.heads) == asked


async def test_a_get_that_meets_a_closed_connection_is_answered_by_another() -> None:
    async with bare(answer()) as server, open_http(Upstream()) as client:
        await ask(client, post(server.url))

        async def close_once() -> None:
            server.acts = (answer(b"again"),)
            await server.close()

        server.acts = (close_once,)
        assert await ask(client, post(server.url, method="GET")) == b"again"
        assert server.connections == 2


async def test_what_is_sent_again_takes_no_connection_that_was_idle_too() -> None:
    async with bare(answer()) as server, open_http(Upstream()) as client:
        await asyncio.gather(*(ask(client, post(server.url)) for _ in range(2)))

        async def break_off() -> None:
            server.acts = (answer(b"again"),)
            raise ConnectionError

        server.acts = (break_off,)
        assert await ask(client, post(server.url, method="GET")) == b"again"
        assert server.connections == 3


async def test_a_whole_answer_that_nobody_reads_leaves_its_connection_whole() -> None:
    async with bare(answer(b"x" * 1000)) as server, open_http(Upstream()) as client:
        for _ in range(3):
            async with client.send(post(server.url)) as found:
                assert found.status == 200
        assert server.connections == 1


async def test_an_answer_can_be_read_while_its_connection_serves_another() -> None:
    async with bare(answer(b"first")) as server, open_http(Upstream(connections=1)) as client:
        async with client.send(post(server.url)) as first:
            await asyncio.sleep(0.01)
            server.acts = (answer(b"second"),)
            assert await ask(client, post(server.url)) == b"second"
            assert await first.read() == b"first"
        assert server.connections == 1


@pytest.mark.clock
async def test_a_slow_reader_slows_its_provider_down() -> None:
    sent = 0

    async def count() -> None:
        nonlocal sent
        sent += len(PIECE)

    pieces = [act for _ in range(1000) for act in (PIECE, count)]
    async with bare(begun(1000 * len(PIECE)), *pieces) as server, open_http(Upstream()) as client:
        async with client.send(post(server.url)) as found:
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)
            # What two sockets hold, and a little more.
            assert sent < 32 * MEGABYTE
            size = 0
            while piece := await found.next_piece():
                assert len(piece) < MEGABYTE
                size += len(piece)
            assert size == 1000 * len(PIECE)
        # The connection reads again, so that it is used again, and sees its end.
        server.acts = (answer(b"next"),)
        assert await ask(client, post(server.url)) == b"next"
        assert server.connections == 1
        await server.close()
        await soon(lambda: server.open == 0)


@pytest.mark.clock
async def test_a_reader_that_takes_its_time_is_no_silence_of_the_provider() -> None:
    acts: list[Act] = [begun(2), 0.05, b"a", 0.4, b"b"]
    async with bare(*acts) as server, open_http(Upstream()) as client:
        request = HttpRequest(method="POST", url=server.url, within_s=0.2, silence_s=0.2)
        async with client.send(request) as found:
            assert await found.next_piece() == b"a"
            await asyncio.sleep(0.5)
            assert await found.next_piece() == b"b"
            assert await found.next_piece() == b""


async def test_requests_wait_in_the_order_in_which_they_came() -> None:
    async with bare(0.01, answer()) as server, open_http(Upstream(connections=1)) as client:
        waiting = []
        for number in range(10):
            waiting.append(asyncio.create_task(ask(client, post(f"{server.url}/{number}"))))
            await asyncio.sleep(0)
        await asyncio.gather(*waiting)
    assert [head.split()[1] for head in server.heads] == [f"/{number}" for number in range(10)]
    assert server.connections == 1


async def test_both_clients_share_the_places() -> None:
    async with bare(begun(), forever) as server, open_http(Upstream(connections=1)) as client:
        form = HttpRequest(method="POST", url=server.url, body=HttpForm((("a", "b"),)))
        async with client.send(form):
            with pytest.raises(EngineTimeout):
                await ask(client, post(server.url, within_s=0.05))
        async with client.send(post(server.url)):
            with pytest.raises(EngineTimeout):
                async with client.send(
                    HttpRequest(method="POST", url=server.url, body=form.body, within_s=0.05)
                ):
                    pass
        server.acts = (answer(b"free"),)
        assert await ask(client, post(server.url)) == b"free"


async def test_the_connection_that_was_idle_longest_makes_room() -> None:
    async with bare(answer()) as first, bare(answer()) as second, bare(answer()) as third:
        async with open_http(Upstream(connections=2)) as client:
            await ask(client, post(first.url))
            await asyncio.sleep(0.01)
            await ask(client, post(second.url))
            await ask(client, post(third.url))
            await soon(lambda: first.open == 0)
            assert (second.open, third.open) == (1, 1)
            # Two that begin together make room for two.
            await asyncio.gather(*(ask(client, post(first.url)) for _ in range(2)))
            assert first.open == 2
            await soon(lambda: second.open == 0)
            await soon(lambda: third.open == 0)


@each_row("acts", [[], [b"HTTP/1.1 200 OK\r\n"], [begun()], [begun(), b"abc"]])
async def test_a_cancelled_request_gives_its_place_back(acts: list[bytes]) -> None:
    async with bare(*acts, forever) as server, open_http(Upstream(connections=1)) as client:
        asking = asyncio.create_task(ask(client, post(server.url)))
        await server.answering.wait()
        await asyncio.sleep(0.01)
        waiting = asyncio.create_task(ask(client, post(server.url)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        asking.cancel()
        await asyncio.wait([asking])
        await soon(lambda: server.open == 0)
        server.acts = (answer(b"free"),)
        assert await ask(client, post(server.url)) == b"free"


async def test_a_greeting_without_an_answer_gives_its_place_back() -> None:
    # It takes connections and never begins to speak TLS.
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"https://127.0.0.1:{deaf.getsockname()[1]}"
        await _expect_place_back_from(url)


async def _expect_place_back_from(url: str) -> None:
    async with bare(answer(b"free")) as server, open_http(Upstream(connections=1)) as client:
        asking = asyncio.create_task(ask(client, post(url)))
        await asyncio.sleep(0.05)
        asking.cancel()
        await asyncio.wait([asking])
        assert await ask(client, post(server.url)) == b"free"
        with pytest.raises(EngineTimeout):
            await ask(client, post(url, within_s=0.05))
        assert await ask(client, post(server.url)) == b"free"


@each_row("url", ["http://127.0.0.1:1/", "http://nowhere.invalid/", "https://127.0.0.1:1/"])
async def test_a_provider_that_is_not_reached_holds_no_place(url: str) -> None:
    async with bare(answer(b"free")) as server, open_http(Upstream(connections=1)) as client:
        for _ in range(3):
            with pytest.raises(EngineUnavailable):
                await ask(client, HttpRequest(method="POST", url=url))
        assert await ask(client, post(server.url)) == b"free"


async def test_a_provider_that_is_not_reached_takes_no_room_from_others() -> None:
    async with bare(answer()) as first, bare(answer()) as second:
        async with open_http(Upstream(connections=2)) as client:
            await ask(client, post(first.url))
            for _ in range(2):
                with pytest.raises(EngineUnavailable):
                    await ask(client, post(f"http://127.0.0.1:{free_port()}"))
            await ask(client, post(second.url))
            assert repr(client) == "<UpstreamClient <ConnectionPool 0 busy, 2 idle>>"


async def test_a_server_that_closes_before_it_is_asked_is_nobody_reached() -> None:
    async def close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    listening = await asyncio.start_server(close, "127.0.0.1", 0)
    async with listening, open_http(Upstream(connections=1)) as client:
        for _ in range(20):
            # Whether the client has seen the end by the time it sends is chance; it holds nothing then.
            with pytest.raises((EngineUnavailable, EngineFailed)):
                await ask(client, post(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"))
            assert repr(client) == "<UpstreamClient <ConnectionPool 0 busy, 0 idle>>"


async def test_a_client_that_is_closed_ends_what_is_under_way() -> None:
    async with bare(begun(), b"abc", forever) as server:
        async with open_http(Upstream()) as client:
            exchange = client.send(post(server.url))
            found = await exchange.__aenter__()
            assert await found.next_piece() == b"abc"
        with pytest.raises(EngineFailed):
            await found.next_piece()
        await exchange.__aexit__(None, None, None)
        await soon(lambda: server.open == 0)


async def test_a_literal_address_of_ipv6_is_asked() -> None:
    async with bare(answer(b"six"), host="::1") as server, open_http(Upstream()) as client:
        assert await ask(client, post(server.url)) == b"six"
        assert f"\r\nhost: {server.url[7:]}\r\n" in server.heads[0]


async def test_a_private_connection_is_used_again() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    async with bare(answer(b"x" * 300_000), context=context) as server:
        async with open_http(Upstream(ca_file=str(CERTIFICATE))) as client:
            for _ in range(5):
                assert len(await ask(client, post(server.url))) == 300_000
        assert server.connections == 1
        await soon(lambda: server.open == 0)


async def test_a_certificate_for_another_address_is_nobody_reached() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    async with bare(answer(), context=context, host="::1") as server:
        async with open_http(Upstream(ca_file=str(CERTIFICATE))) as client:
            with pytest.raises(EngineUnavailable, match="certificate"):
                await ask(client, post(server.url))
    assert server.heads == []


async def test_an_error_of_a_header_that_would_end_its_line_does_not_show_it() -> None:
    async with bare(answer()) as server, open_http(Upstream()) as client:
        for kind in ({}, {"connection": "close"}):
            for bad in (
                {"x-key": "sk-a\r\nx-admin: 1"},
                {"x-key": "sk-a\n"},
                {"x: 1\r\ny": "sk-a"},
                {"": "sk-a"},
            ):
                with pytest.raises(EngineError) as error:
                    await ask(client, HttpRequest(method="POST", url=server.url, headers=kind | bad))
                assert type(error.value) is EngineUnavailable
                assert "sk-a" not in str(error.value)
    assert server.connections == 0
