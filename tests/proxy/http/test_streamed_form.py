"""Forms that are read piece by piece: however they are cut, they mean what they mean as a whole."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from proxy.errors import InvalidRequest, RequestFailed
from proxy.http.connection import BodyQuota, Connection
from proxy.http.form import FormReader, RequestForm, stream_form
from proxy.http.replies import failure_reply, reply
from proxy.http.server_protocol import ServerProtocol
from tests.proxy.http.sockets import serving
from tests.proxy.http.test_form import FIELDS, MULTIPART, file, parse, part, whole
from tests.tables import each_row


class Sink:
    def __init__(self, most_bytes: int = 1_000_000) -> None:
        self.most_bytes = most_bytes
        self.data = bytearray()

    def write(self, piece: bytes) -> None:
        self.data += piece


def read(body: bytes, cuts: list[int], most_bytes: int = 1_000_000) -> tuple[RequestForm, dict[str, bytes]]:
    """Read a body that comes in pieces, cut at these bytes."""
    sinks = {name: Sink(most_bytes) for name in ("audio_sample", "index")}
    reader = FormReader(b"B", sinks, FIELDS)
    ends = [*sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    for start, end in zip([0, *ends], ends, strict=False):
        reader.feed(body[start:end])
    return reader.end(), {name: bytes(sink.data) for name, sink in sinks.items()}


_PARTS = (
    part("name", "Ana Lúcia".encode()),
    part("tags[]", b"a"),
    part("tags[]", b""),
    part("other", b"ignored"),
    part("labels[x]", b"y\r\n-"),
    file(b"\r\n--\r\n--Bsound\r\n-"),
    file(b"", "index", ""),
    file(b"", "index", "a.index"),
    file(b"twice"),
    file(b"unknown", "more"),
    part("name", b"\xff"),
    b"--B\r\n\r\nno head\r\n",
    b"--Bx\r\n",
    b"--B\r\nContent-Disposition: form-data\r\n\r\n\r\n",
    file(b"a", "name"),
)


@given(
    parts=st.lists(st.sampled_from(_PARTS), max_size=5),
    cuts=st.lists(st.integers(0, 5_000), max_size=12),
    end=st.sampled_from([b"--B--\r\n", b"--B--", b"--B--\r\nmore", b"--B", b""]),
)
def test_a_form_in_pieces_is_read_as_one_that_is_whole(
    parts: list[bytes], cuts: list[int], end: bytes
) -> None:
    body = b"".join(parts) + end
    try:
        wanted = parse(body, files=dict.fromkeys(("audio_sample", "index"), 1000))
    except InvalidRequest:
        with pytest.raises(InvalidRequest):
            read(body, cuts)
        return
    form, files = read(body, cuts)
    assert form.fields == wanted.fields
    assert form.files.keys() == wanted.files.keys()
    assert {name: files[name] for name in form.files} == {
        name: sent.data for name, sent in wanted.files.items()
    }


def test_a_form_may_come_byte_by_byte() -> None:
    body = whole(part("name", b"Ana"), file(b"\r\n--\r\n--sound\r"), part("tags[]", b"a"))
    form, files = read(body, [*range(len(body))])
    assert form.fields == {"name": ["Ana"], "tags": ["a"]}
    assert files["audio_sample"] == b"\r\n--\r\n--sound\r"


def test_a_file_is_refused_as_soon_as_it_is_too_large() -> None:
    reader = FormReader(b"B", {"audio_sample": Sink(10)}, FIELDS)
    with pytest.raises(InvalidRequest, match="larger than 10 bytes") as caught:
        reader.feed(b"--B\r\n" + file(bytes(100)).removeprefix(b"--B\r\n"))
    assert (caught.value.param, caught.value.code) == ("audio_sample", "file_too_large")


@each_row(
    ("body", "says"),
    [
        (part("name", bytes(70_000)), "at most 65536 bytes"),
        (b"--B\r\n" + b"x" * 5000, "no head, or one of more"),
        (b"--B" + b" " * 200, "something else follows"),
        (part("x", b"") * 41, "more than 40 parts"),
        (b"nothing", "does not begin"),
    ],
)
def test_what_no_client_writes_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        read(whole(body), [])


async def waited(_count: int) -> None:
    """There is room for all."""
    await asyncio.sleep(0)


async def _large(scope: Scope, receive: Receive, send: Send) -> None:
    scope.setdefault("state", {})["bodies"] = BodyQuota(1000)
    sink = Sink(5_000_000)
    try:
        await stream_form(Connection(scope, receive, send), {"audio_sample": sink}, FIELDS, 30.0, waited)
        answer = reply({"bytes": len(sink.data)})
    except RequestFailed as error:
        answer = failure_reply(error)
    await answer(scope, receive, send)


async def test_a_large_form_comes_over_a_socket_and_is_counted_with_no_others() -> None:
    async with (
        serving(_large, ServerProtocol) as (host, port),
        aiohttp.ClientSession(f"http://{host}:{port}") as client,
    ):
        async with client.post("/", data=BytesIO(whole(file(bytes(4_000_000)))), headers=MULTIPART) as sent:
            assert await sent.json() == {"bytes": 4_000_000}
        async with client.post("/", data=BytesIO(whole(file(bytes(6_000_000)))), headers=MULTIPART) as sent:
            assert sent.status == 413


class Hasty(ServerProtocol):
    body_s = 0.05


async def test_a_large_form_may_come_for_longer_than_other_bodies() -> None:
    body = whole(file(bytes(1000)))

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:100]
        await asyncio.sleep(5 * Hasty.body_s)
        yield body[100:]

    async with (
        serving(_large, Hasty) as (host, port),
        aiohttp.ClientSession(f"http://{host}:{port}") as client,
        client.post("/", data=slowly(), headers=MULTIPART) as sent,
    ):
        assert await sent.json() == {"bytes": 1000}


async def test_time_in_which_the_server_has_no_room_is_not_the_clients() -> None:
    waits_s = [0.4]

    async def grow(_count: int) -> None:
        await asyncio.sleep(waits_s.pop() if waits_s else 0.0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sink = Sink()
        try:
            await stream_form(Connection(scope, receive, send), {"audio_sample": sink}, FIELDS, 0.3, grow)
            answer = reply({"bytes": len(sink.data)})
        except RequestFailed as error:
            answer = failure_reply(error)
        await answer(scope, receive, send)

    async with (
        serving(app, ServerProtocol) as (host, port),
        aiohttp.ClientSession(f"http://{host}:{port}") as client,
        client.post("/", data=BytesIO(whole(file(bytes(800_000)))), headers=MULTIPART) as sent,
    ):
        assert await sent.json() == {"bytes": 800_000}
