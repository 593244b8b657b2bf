"""The one HTTP client: what each fault becomes, connections that come back, and no secret told."""

import asyncio
import json
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.config.sections import Upstream
from proxy.engines.http.upstream_http import open_http
from speech_engine import (
    EngineError,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    HttpClient,
    HttpFile,
    HttpForm,
    HttpRequest,
)
from tests.proxy.engines.servers import Act, answer, bare, begun, tunnel_proxy
from tests.server import free_port
from tests.tables import each_row
from tests.waiting import forever, soon

CERTIFICATE = Path(__file__).parent / "localhost.pem"
"""A certificate of 127.0.0.1 signed by itself, with its key, for this test alone."""
SECRET = "sk-never-to-be-told"


def post(url: str, within_s: float = 5.0, silence_s: float = 5.0) -> HttpRequest:
    return HttpRequest(
        method="POST",
        url=f"{url}/speak?key={SECRET}",
        headers={"authorization": f"Bearer {SECRET}"},
        body=SECRET.encode(),
        within_s=within_s,
        silence_s=silence_s,
    )


async def whole(client: HttpClient, request: HttpRequest) -> tuple[int, bytes]:
    async with client.send(request) as found:
        return found.status, await found.read()


async def test_an_answer_has_its_status_its_headers_and_its_body() -> None:
    async with bare(answer(b"sound", "429 Slow down", "Retry-After: 7", "X-Trace: a")) as server:
        async with open_http(Upstream()) as client, client.send(post(server.url)) as found:
            assert (found.status, found.headers["retry-after"], found.headers["x-trace"]) == (429, "7", "a")
            assert await found.read() == b"sound"
    (head,) = server.heads
    assert head.startswith(f"POST /speak?key={SECRET} HTTP/1.1\r\n")
    assert f"authorization: Bearer {SECRET}\r\n".lower() in head.lower()


@each_row(
    ("acts", "ends", "raised"),
    [
        ([], True, EngineFailed),
        ([b"\x00\xffgarbage\r\n\r\n"], True, EngineFailed),
        ([b"HTTP/1.1 abc\r\n\r\n"], True, EngineFailed),
        ([b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n"], True, EngineFailed),
        ([begun(100), b"abc"], True, EngineFailed),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"], True, EngineFailed),
        ([answer(b"plain", "200 OK", "content-encoding: gzip")], False, EngineFailed),
        ([forever], False, EngineTimeout),
        ([b"HTTP/1.1 200 OK\r\n", forever], False, EngineTimeout),
        ([begun(100), b"abc", forever], False, EngineTimeout),
        ([begun(2_000_000), *[b"x" * 500_000] * 4], False, EngineFailed),
    ],
    ids=[
        "hangs up",
        "garbage",
        "no status",
        "endless header",
        "cut",
        "cut between chunks",
        "not the encoding it says",
        "silent",
        "silent in its headers",
        "silent in its body",
        "longer than asked for",
    ],
)
async def test_each_fault_is_the_class_that_says_what_it_means(
    acts: list[Act], ends: bool, raised: type[EngineError]
) -> None:
    async with bare(*acts, ends=ends) as server, open_http(Upstream()) as client:
        with pytest.raises(EngineError) as error:
            async with client.send(post(server.url, within_s=0.3, silence_s=0.3)) as found:
                await found.read(most_bytes=1_000_000)
        assert type(error.value) is raised
        assert SECRET not in str(error.value)
        assert server.url not in str(error.value)
        assert error.value.__cause__ is None
        await soon(lambda: server.open == 0)


@each_row("url", ["http://127.0.0.1:{port}", "https://127.0.0.1:{port}", "nonsense", "ftp://x"])
async def test_where_nobody_is_reached_the_engine_is_unavailable(url: str) -> None:
    async with open_http(Upstream()) as client:
        with pytest.raises(EngineUnavailable) as error:
            await whole(client, post(url.format(port=free_port())))
    assert SECRET not in str(error.value)


async def test_a_slow_drip_is_an_answer_as_long_as_it_drips() -> None:
    drip: list[Act] = [b"x", 0.05]
    async with bare(begun(5), *drip * 5) as server, open_http(Upstream()) as client:
        assert await whole(client, post(server.url, silence_s=0.5)) == (200, b"xxxxx")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_redirect_is_an_answer_and_no_key_goes_where_it_points(method: str) -> None:
    async with bare(answer()) as elsewhere, open_http(Upstream()) as client:
        async with bare(answer(b"", "307 Away", f"location: {elsewhere.url}")) as server:
            headers = {"xi-api-key": SECRET}
            request = HttpRequest(method=method, url=server.url, headers=headers)
            assert await whole(client, request) == (307, b"")
    assert elsewhere.connections == 0


async def test_one_connection_serves_requests_in_a_row() -> None:
    async with bare(answer(b"x" * 100_000)) as server, open_http(Upstream()) as client:
        for _ in range(20):
            assert (await whole(client, post(server.url)))[0] == 200
        assert (server.connections, len(server.heads)) == (1, 20)


@pytest.mark.parametrize("reads", [True, False])
async def test_leaving_in_the_middle_ends_the_connection_at_once(reads: bool) -> None:
    async with bare(begun(), b"x" * 1000, forever) as server, open_http(Upstream()) as client:
        async with client.send(post(server.url)) as found:
            if reads:
                assert await found.next_piece()
        await soon(lambda: server.open == 0)
    assert server.connections == 1


async def test_being_cancelled_before_the_status_ends_it_too() -> None:
    async with bare(forever) as server, open_http(Upstream()) as client:
        asking = asyncio.create_task(whole(client, post(server.url)))
        await server.answering.wait()
        asking.cancel()
        await asyncio.wait([asking])
        await soon(lambda: server.open == 0)


async def test_a_thousand_cancelled_requests_leave_every_connection_free() -> None:
    upstream = Upstream(connections=5)
    async with bare(begun(), forever) as server, open_http(upstream) as client:
        for round_ in range(100):
            asking = [asyncio.create_task(whole(client, post(server.url))) for _ in range(10)]
            # At every point on the way: before the connection, before the status, in the body, in the line.
            for _ in range(round_ % 20):
                await asyncio.sleep(0)
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
        await soon(lambda: server.open == 0)
        server.acts = (answer(b"free"),)
        answers = await asyncio.gather(*(whole(client, post(server.url)) for _ in range(20)))
    assert answers == [(200, b"free")] * 20


async def test_a_request_waits_for_a_free_connection_no_longer_than_it_may() -> None:
    async with bare(begun(), forever) as server, open_http(Upstream(connections=1)) as client:
        async with client.send(post(server.url)):
            with pytest.raises(EngineTimeout):
                await whole(client, post(server.url, within_s=0.05))
        assert len(server.heads) == 1


async def test_a_form_arrives_with_its_fields_and_files() -> None:
    recording = bytes(range(256)) * 40
    form = HttpForm(
        (("purpose", "clöne"), ('odd "name"\r\nx: y', "")),
        (HttpFile("file", 'a"\n.wav', recording, "audio/wav"), HttpFile("file", "b.bin", b"")),
    )

    async def read(request: web.Request) -> web.Response:
        sent = await request.post()
        files = [each for each in sent.getall("file") if isinstance(each, web.FileField)]
        return web.json_response(
            {
                "texts": [value for value in sent.values() if isinstance(value, str)],
                "files": [[each.filename, each.content_type, each.file.read().hex()] for each in files],
            }
        )

    app = web.Application()
    app.router.add_post("/", read)
    async with TestServer(app) as server, open_http(Upstream()) as client:
        status, body = await whole(
            client, HttpRequest(method="POST", url=str(server.make_url("/")), body=form)
        )
    assert (status, json.loads(body)) == (
        200,
        {
            "texts": ["clöne", ""],
            "files": [
                # Quoted as browsers do.
                ["a%22%0A.wav", "audio/wav", recording.hex()],
                ["b.bin", "application/octet-stream", ""],
            ],
        },
    )


async def test_a_file_whose_kind_would_be_another_header_is_not_sent() -> None:
    form = HttpForm(files=(HttpFile("file", "a.wav", b"", "audio/wav\r\nx: y"),))
    async with bare(answer()) as server, open_http(Upstream()) as client:
        with pytest.raises(EngineUnavailable):
            await whole(client, HttpRequest(method="POST", url=server.url, body=form))
    assert server.connections == 0


async def test_a_certificate_counts_only_where_it_was_named() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    async with bare(answer(b"private"), context=context) as server:
        async with open_http(Upstream(ca_file=str(CERTIFICATE))) as client:
            assert await whole(client, post(server.url)) == (200, b"private")
        async with open_http(Upstream()) as client:
            with pytest.raises(EngineUnavailable, match="certificate"):
                await whole(client, post(server.url))


async def test_a_forward_proxy_is_asked_in_the_providers_place() -> None:
    async with bare(answer(b"by way of")) as proxy:
        address = proxy.url.replace("//", f"//ada:{SECRET}@")
        async with open_http(Upstream(proxy=address)) as client:
            assert await whole(client, post("http://provider.invalid")) == (200, b"by way of")
            assert SECRET not in repr(client)
    assert proxy.heads[0].startswith("POST http://provider.invalid/speak?key=")
    assert "proxy-authorization: basic " in proxy.heads[0].lower()


async def test_without_a_setting_the_environment_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bare(answer(b"by way of")) as proxy, bare(answer(b"directly")) as provider:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with open_http(Upstream()) as client:
            assert await _read(client, "http://provider.invalid/speak") == b"by way of"
            assert await _read(client, provider.url) == b"directly"


async def _read(client: HttpClient, url: str) -> bytes:
    async with client.send(HttpRequest(method="GET", url=url)) as answer:
        return await answer.read()


async def test_a_forward_proxy_that_refuses_is_nobody_reached() -> None:
    async with bare(answer(b"", "407 Who are you")) as proxy, open_http(Upstream(proxy=proxy.url)) as client:
        with pytest.raises(EngineUnavailable):
            await whole(client, post("https://provider.invalid"))
    assert proxy.heads[0].startswith("CONNECT provider.invalid:443 ")


@pytest.mark.parametrize("is_private", [False, True], ids=["a plain proxy", "a proxy with a certificate"])
async def test_a_private_provider_is_reached_through_a_tunnel(is_private: bool) -> None:
    await through_a_tunnel(is_private)


async def through_a_tunnel(is_private: bool) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    async with (
        bare(answer(b"private"), context=context) as server,
        tunnel_proxy(context if is_private else None) as proxy,
    ):
        upstream = Upstream(
            proxy=proxy.url.replace("//", f"//ada:{SECRET}@"), ca_file=str(CERTIFICATE), connections=1
        )
        async with open_http(upstream) as client:
            for _ in range(3):
                assert await whole(client, post(server.url)) == (200, b"private")
            # What it says goes to the provider alone, and its password to the proxy alone.
            assert (len(proxy.asked), len(proxy.keys), server.connections) == (1, 1, 1)
            assert "proxy-authorization" not in "".join(server.heads).lower()
            with pytest.raises(EngineUnavailable):
                await whole(client, post("https://localhost:1"))
            assert await whole(client, post(server.url)) == (200, b"private")


@each_row(
    "said",
    [
        *(
            [],
            [b"HTTP/1.1 200 OK\r\nx: y"],
            [b"HTTP/1.1 200 OK\r\n\r\nno TLS"],
            [b"nonsense\r\n\r\n", forever],
        ),
        [b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000, forever],
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_nobody_reached(said: list[Act]) -> None:
    async with bare(*said, ends=True) as proxy, open_http(Upstream(proxy=proxy.url, connections=1)) as client:
        for _ in range(2):
            with pytest.raises(EngineUnavailable):
                await whole(client, post("https://provider.invalid"))
        await soon(lambda: proxy.open == 0)


async def test_a_proxy_that_says_nothing_is_waited_for_no_longer_than_the_provider() -> None:
    async with bare(forever) as proxy, open_http(Upstream(proxy=proxy.url, connections=1)) as client:
        for _ in range(2):
            with pytest.raises(EngineTimeout):
                await whole(client, post("https://provider.invalid", within_s=0.1))
        await soon(lambda: proxy.open == 0)


@each_row("named", ["socks5://127.0.0.1:1", "http://a:port", "http://[x"])
async def test_a_proxy_of_another_kind_in_the_environment_is_told_without_its_address(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", named)
    async with open_http(Upstream()) as client:
        with pytest.raises(EngineUnavailable, match="HTTPS_PROXY names no HTTP proxy") as refused:
            await whole(client, post("https://provider.invalid"))
    assert named not in str(refused.value)


async def test_no_repr_tells_a_secret() -> None:
    async with bare(answer(b"{}", "200 OK", f"x-echo: {SECRET}")) as server, open_http(Upstream()) as client:
        request = post(server.url)
        async with client.send(request) as found:
            shown = f"{request!r} {client!r} {found!r}"
    assert SECRET not in shown
    assert server.url not in shown


def test_a_worker_without_sockets_never_loads_their_client() -> None:
    program = "import sys, proxy.app; sys.exit('websockets.asyncio.client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
