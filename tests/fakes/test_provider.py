"""What all fake providers share: each fault as a client meets it, what is written down, and who left."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from fakes.faults import GARBAGE, Receive, Scope, ScriptedFault, Send, scripted
from fakes.provider import Provider, Report, hum
from fakes.serving import ServedApp, served
from proxy.config.sections import Upstream
from proxy.engines.upstream_http import open_http
from speech_engine import EngineError, EngineFailed, EngineTimeout, HttpClient, HttpRequest

SPEECH = b"0123456789" * 1000


async def _echoing(scope: Scope, receive: Receive, send: Send) -> None:
    """Streams SPEECH in pieces, unless a fault is to be worded."""
    fault = scripted(scope)
    assert (await receive())["body"] is not None
    status = {"429": 429, "5xx": fault.status}.get(fault.name, 200) if fault else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-code", b"a")]})
    for start in range(0, len(SPEECH), 1000):
        piece = SPEECH[start : start + 1000]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
async def fake() -> AsyncIterator[ServedApp]:
    async with served(Provider(_echoing, "/speak")) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with open_http(Upstream()) as client:
        yield client


def _request(fake: ServedApp, path: str = "/v1/speak", body: bytes = b"", **more: float) -> HttpRequest:
    headers = {"content-type": "application/json"}
    return HttpRequest(method="POST", url=fake.url + path, headers=headers, body=body, **more)


async def _ask(http: HttpClient, request: HttpRequest) -> tuple[int, bytes]:
    async with http.send(request) as answer:
        return answer.status, await answer.read()


async def _until_it_breaks(http: HttpClient, request: HttpRequest) -> tuple[bytes, EngineError | None]:
    heard = b""
    try:
        async with http.send(request) as answer:
            while piece := await answer.next_piece():
                heard += piece
    except EngineError as error:
        return heard, error
    return heard, None


async def test_a_request_is_written_down(fake: ServedApp, http: HttpClient) -> None:
    assert await _ask(http, _request(fake, "/v1/speak?a=b", b'{"text": "hi"}')) == (200, SPEECH)
    (seen,) = fake.provider.spoken()
    assert (seen.method, seen.path, seen.query, seen.json) == ("POST", "/v1/speak", "a=b", {"text": "hi"})
    assert seen.headers["content-type"] == "application/json"
    await fake.provider.until(lambda: seen.is_over)
    assert (seen.status, seen.sent_bytes, seen.left_at, seen.fault) == (200, len(SPEECH), None, "")


async def test_a_client_who_has_heard_all_has_not_left(http: HttpClient) -> None:
    has_tidied = asyncio.Event()

    async def tidying(scope: Scope, receive: Receive, send: Send) -> None:
        await _echoing(scope, receive, send)
        for _ in range(100):
            await asyncio.sleep(0)
        has_tidied.set()

    async with served(Provider(tidying, "/speak")) as fake:
        await _ask(http, _request(fake))
        await fake.provider.until(lambda: fake.provider.open == 0)
        assert has_tidied.is_set()
        assert fake.provider.seen[0].left_at is None


@pytest.mark.parametrize(("name", "status"), [("429", 429), ("5xx", 502)])
async def test_the_fake_words_what_its_provider_would(
    fake: ServedApp, http: HttpClient, name: Any, status: int
) -> None:
    fake.provider.fail(name, count=2, status=502)
    answers = [(await _ask(http, _request(fake)))[0] for _ in range(3)]
    assert answers == [status, status, 200]
    assert [seen.fault for seen in fake.provider.seen] == [name, name, ""]


async def test_a_fault_waits_for_its_own_path(fake: ServedApp, http: HttpClient) -> None:
    fake.provider.fail("429")
    fake.provider.fail("5xx", path="/voices")
    answers = [(await _ask(http, _request(fake, path)))[0] for path in ("/models", "/voices", "/v1/speak")]
    assert answers == [200, 503, 429]


async def test_each_place_of_a_fake_has_faults_of_its_own(http: HttpClient) -> None:
    async def told(scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path"].encode()})

    async with served(Provider(told, "/speak")) as fake:
        fake.provider.fail("garbage", path="/_at/ada/v1/speak")
        answers = [
            (await _until_it_breaks(http, _request(fake, f"{place}/v1/speak")))[0]
            for place in ("", "/_at/bob", "/_at/ada", "/_at/ada")
        ]
    assert answers == [b"/v1/speak", b"/v1/speak", GARBAGE, b"/v1/speak"]


@pytest.mark.parametrize("after_bytes", [0, 1500, len(SPEECH), 2 * len(SPEECH)])
async def test_truncated_is_never_a_clean_end(fake: ServedApp, http: HttpClient, after_bytes: int) -> None:
    fake.provider.fail("truncated", after_bytes=after_bytes)
    heard, error = await _until_it_breaks(http, _request(fake))
    assert heard == SPEECH[:after_bytes]
    assert isinstance(error, EngineFailed)


async def test_hang_after_gives_its_bytes_and_then_nothing(fake: ServedApp, http: HttpClient) -> None:
    fake.provider.fail("hang_after", after_bytes=1500)
    heard, error = await _until_it_breaks(http, _request(fake, silence_s=0.2))
    assert heard == SPEECH[:1500]
    assert isinstance(error, EngineTimeout)
    await fake.provider.until(lambda: fake.provider.open == 0)
    assert fake.provider.seen[0].left_at is not None


async def test_hang_before_gives_nothing_and_notes_who_left(fake: ServedApp, http: HttpClient) -> None:
    fake.provider.fail("hang_before")
    asking = asyncio.create_task(_ask(http, _request(fake)))
    await fake.provider.until(lambda: fake.provider.open == 1)
    left = time.monotonic()
    asking.cancel()
    await asyncio.wait([asking])
    await fake.provider.until(lambda: fake.provider.open == 0)
    (seen,) = fake.provider.seen
    assert seen.status is None
    assert seen.left_at is not None
    assert 0 <= seen.left_at - left < 1


async def test_garbage_has_the_answers_own_head(fake: ServedApp, http: HttpClient) -> None:
    fake.provider.fail("garbage")
    async with http.send(_request(fake)) as answer:
        assert (answer.status, answer.headers["x-code"]) == (200, "a")
        assert await answer.read() == GARBAGE


async def test_slow_is_whole_in_small_pieces(fake: ServedApp, http: HttpClient) -> None:
    fake.provider.fail("slow", piece_bytes=500, pause_s=0.001)
    pieces = []
    async with http.send(_request(fake)) as answer:
        while piece := await answer.next_piece():
            pieces.append(piece)
    assert b"".join(pieces) == SPEECH
    assert len(pieces) > 5


async def test_another_process_scripts_it_over_http(fake: ServedApp, http: HttpClient) -> None:
    faults = msgspec.json.encode([ScriptedFault(name="5xx", status=500)])
    assert (await _ask(http, _request(fake, "/_fake/faults", faults)))[0] == 200
    assert (await _ask(http, _request(fake, body=b"{}")))[0] == 500
    _, told = await _ask(http, HttpRequest(method="GET", url=f"{fake.url}/_fake/requests"))
    report = msgspec.json.decode(told, type=Report)
    assert [(seen.path, seen.status, seen.json) for seen in report.requests] == [("/v1/speak", 500, {})]
    assert (await _ask(http, _request(fake, "/_fake/reset")))[0] == 200
    assert fake.provider.seen == []


@pytest.mark.parametrize("body", [b'{"name": "429"}', b'[{"name": "4299"}]', b"429, please", b""])
async def test_a_body_that_is_no_list_of_faults_is_told_so(
    fake: ServedApp, http: HttpClient, body: bytes
) -> None:
    status, told = await _ask(http, _request(fake, "/_fake/faults", body))
    assert status == 400
    assert b"a list of faults is wanted" in told
    assert fake.provider.faults == []


def test_hum_is_as_long_as_its_text() -> None:
    assert abs(len(hum("ten chars.")) - 2 * 14_400) < 200
    assert len(set(hum("a"))) > 10


def test_a_fake_is_imported_without_what_serves_it() -> None:
    program = "import sys, fakes.provider; sys.exit('uvicorn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
