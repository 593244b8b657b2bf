"""Forms as clients write them, as nobody should write them, and as far as memory and time allow."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import httpx2
import pytest
from aiohttp.payload import Payload
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send

from proxy.access.callers import Caller
from proxy.errors import InvalidRequest, RequestFailed
from proxy.http.connection import BodyQuota, Connection
from proxy.http.form import MOST_FILE_BYTES, MOST_PARTS, RequestForm, parse_form, read_form
from proxy.http.replies import failure_reply, reply
from tests.proxy.http.sockets import Address, Patient, calling, serving
from tests.tables import each_row

FILES = {"audio_sample": MOST_FILE_BYTES}
FIELDS = ("name", "tags", "labels")
MULTIPART = {"content-type": "multipart/form-data; boundary=B"}


def part(name: str, value: bytes, more: str = "", head: str = "") -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"{more}\r\n{head}\r\n'
    return b"--B\r\n" + disposition.encode() + value + b"\r\n"


def file(value: bytes, name: str = "audio_sample", file_name: str = "a.wav") -> bytes:
    return part(name, value, f'; filename="{file_name}"', "Content-Type: Audio/WAV; x=1\r\n")


def whole(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--B--\r\n"


def parse(body: bytes, boundary: bytes = b"B", files: dict[str, int] = FILES) -> RequestForm:
    """Parse without a loop: all that it awaits are turns for others."""
    reading = parse_form(body, boundary, files, FIELDS)
    try:
        while True:
            reading.send(None)
    except StopIteration as done:
        form: RequestForm = done.value
        return form


def parsed(*parts: bytes) -> RequestForm:
    return parse(whole(*parts))


def refused(body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parse(body)
    return caught.value


def test_texts_and_a_file_come_in_any_order() -> None:
    parts = [
        part("name", "Ana Lúcia".encode()),
        file(b"\r\n--sound"),
        part("tags[]", b"a"),
        part("tags", b"b"),
    ]
    for order in (parts, parts[::-1]):
        form = parsed(*order)
        assert form.fields["name"] == ["Ana Lúcia"]
        assert sorted(form.fields["tags"]) == ["a", "b"]
        assert form.files["audio_sample"].data == b"\r\n--sound"
        assert form.files["audio_sample"].media_type == "audio/wav"


def test_what_is_not_known_is_ignored_as_in_json_and_what_is_empty_was_not_chosen() -> None:
    form = parsed(part("other", b"\xff"), part("labels[accent]", b"Lagos"), file(b"", file_name=""))
    assert form == RequestForm({"labels[accent]": ["Lagos"]}, {})


def test_a_file_may_come_without_a_name_of_its_own() -> None:
    assert parsed(part("audio_sample", bytes(256))).files["audio_sample"].media_type == ""


def test_the_name_of_a_file_in_its_place_is_no_recording() -> None:
    # What curl sends of -F audio_sample=me.wav.
    failure = refused(whole(part("audio_sample", b"me.wav")))
    assert failure.param == "audio_sample"
    assert failure.message.endswith("a file, not a text; for curl, -F audio_sample=@me.wav.")
    assert parsed(file(b"short")).files["audio_sample"].data == b"short"


def test_a_form_is_shown_without_its_content() -> None:
    shown = repr(parsed(part("name", b"Ana"), file(b"secret sound")))
    assert shown == "<RequestForm ['name'], [<FormFile audio_sample, 12 bytes>]>"


@each_row(
    ("body", "param", "said"),
    [
        (whole(file(b"x"), file(b"y")), "audio_sample", "twice"),
        (
            whole(file(b"x", "evidence")),
            "evidence",
            "Unknown file: 'evidence'. Files of this form: audio",
        ),
        (whole(file(b"x", "name")), "name", "it must be a text, not a file"),
        (whole(part("name", b"\xff\xfe")), "name", "UTF-8"),
        (whole(part("name", b"x" * 65_537)), "name", "at most 65536 bytes"),
        (whole(file(b"x" * (MOST_FILE_BYTES + 1))), "audio_sample", "larger than 10485760 bytes"),
        (whole(*[part(f"n{n}", b"") for n in range(MOST_PARTS + 1)]), None, "more than 40 parts"),
        (
            whole(*[part("other", b"x" * 60_000) for _ in range(9)]),
            "other",
            "all texts of a form together have at most 524288 bytes",
        ),
        (whole(part("name", b"x", head="A: b\r\na: c\r\n")), None, "the same header twice"),
        (whole(part("name", b"x", head="no header\r\n")), None, "no header"),
        (whole(part("name", b"x", head="Content-Transfer-Encoding: base64\r\n")), None, "encoded"),
        (whole(part("name", b"x", head="A: " + "b" * 5000 + "\r\n")), None, "more than 4096 bytes"),
        (whole(part("", b"x")), None, "has no name"),
        (whole(part("a\x00b", b"x")), None, "printable"),
        (whole(part("name", b"x", '; name="other"')), None, "parameters"),
        (whole(part("name", b"x", '; filename="a')), None, "parameters"),
        (b"--B\r\n\r\nx\r\n--B--", None, "Content-Disposition"),
        (b"--B\r\n\r\n\r\n--B--", None, "Content-Disposition"),
        (b"preamble\r\n" + whole(part("name", b"x")), None, "does not begin with its boundary"),
        (whole(part("name", b"x")) + b"more", None, "bytes follow its end"),
        (whole(part("name", b"x\r\n--Bx")), None, "something else follows a boundary"),
        (whole(part("name", b"x")).replace(b"\r\n", b"\n"), None, "boundary"),
        (b"", None, "does not begin"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_form_that_is_wrong_is_told_why(body: bytes, param: str | None, said: str) -> None:
    failure = refused(body)
    assert failure.param == param
    assert said in failure.message
    assert failure.code in ("invalid_form", "invalid_value", "file_too_large")


def test_ten_mebibytes_pass_and_one_byte_more_is_refused_by_name() -> None:
    assert len(parsed(file(bytes(MOST_FILE_BYTES))).files["audio_sample"].data) == MOST_FILE_BYTES
    failure = refused(whole(file(bytes(MOST_FILE_BYTES + 1))))
    assert (failure.status, failure.code, failure.param) == (400, "file_too_large", "audio_sample")


def test_a_form_that_was_cut_anywhere_is_refused() -> None:
    body = whole(part("name", b"Ana"), file(b"sound\r\n"), part("tags[]", b"x"))
    end = body.index(b"--B--") + len(b"--B--")
    for at in range(end):
        assert refused(body[:at]).code == "invalid_form", at
    for at in range(end, len(body) + 1):
        assert parse(body[:at]).fields["name"] == ["Ana"]


_PIECES = st.sampled_from(
    [
        *(b"--B", b"--B--", b"\r\n", b"\r", b"\n", b"--", b"B", b" ", b";", b'"', b"\\", b"\r\n\r\n"),
        *(b"name=", b'="', b"Content-Type: a/b", b"\x00", b"\xff", b'; filename="x"'),
        b'Content-Disposition: form-data; name="name"',
    ]
)


@given(st.lists(_PIECES | st.binary(max_size=8), max_size=40).map(b"".join))
@settings(deadline=None)
def test_any_bytes_are_a_form_or_a_400(body: bytes) -> None:
    for raw in (body, whole(part("name", body)), whole(file(b"x"), body)):
        with suppress(InvalidRequest):
            parse(raw)


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=50)), st.binary(max_size=200))
@settings(deadline=None)
def test_what_libraries_write_is_read_back(texts: dict[str, str], sound: bytes) -> None:
    request = httpx2.Request(
        "POST", "http://x/", data=texts, files={"audio_sample": ('../"a\\b"\r\nñ.wav', sound)}
    )
    form = _of(request.headers["content-type"], request.read())
    assert form.files["audio_sample"].data == sound
    # A browser and a library write line ends of a text as they like.
    assert {name: values[0] for name, values in form.fields.items()} == texts


async def test_what_aiohttp_writes_is_read_back() -> None:
    written = aiohttp.FormData()
    written.add_field("name", "Ana")
    written.add_field("audio_sample", b"sound", filename="voz ñ.wav", content_type="audio/wav")
    payload: Payload = written()
    form = _of(payload.headers["Content-Type"], await payload.as_bytes())
    assert form.fields == {"name": ["Ana"]}
    assert form.files["audio_sample"].data == b"sound"


def _of(content_type: str, body: bytes) -> RequestForm:
    found = re.fullmatch(r'multipart/form-data; boundary="?([^"]+)"?', content_type)
    assert found
    return parse(body, found[1].encode())


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["caller"] = Caller(key="key_1", account="acc_1", role="speech", plan="free")
    scope["state"]["bodies"] = share
    try:
        form = await read_form(Connection(scope, receive, send), files=FILES, fields=FIELDS)
        answer = reply([form.fields, {name: len(file.data) for name, file in form.files.items()}])
    except RequestFailed as failure:
        answer = failure_reply(failure)
    await answer(scope, receive, send)


class WatchedShare(BodyQuota):
    """It tells when all of a large form but its last byte has come."""

    def __init__(self) -> None:
        super().__init__()
        self.is_nearly_whole = asyncio.Event()

    def count_body(self, key: str, size: int) -> None:
        super().count_body(key, size)
        if self._bytes[key] > MOST_FILE_BYTES:
            self.is_nearly_whole.set()


share = WatchedShare()


@pytest.fixture
async def address() -> AsyncIterator[Address]:
    async with serving(_app, Patient) as address:
        yield address


async def post(address: Address, **request: Any) -> tuple[int, Any]:
    async with httpx2.AsyncClient() as client:
        answer = await client.post(f"http://127.0.0.1:{address[1]}/", **request)
        return answer.status_code, json.loads(answer.content)


async def test_a_form_over_a_port(address: Address) -> None:
    sound = b"s" * MOST_FILE_BYTES
    status, answer = await post(address, data={"name": "Ana"}, files={"audio_sample": sound})
    assert (status, answer) == (200, [{"name": ["Ana"]}, {"audio_sample": MOST_FILE_BYTES}])
    status, answer = await post(address, files={"audio_sample": sound + b"s"})
    assert (status, answer["error"]["param"]) == (400, "audio_sample")
    status, answer = await post(address, files={"audio_sample": sound * 2})
    assert (status, answer["error"]["code"]) == (413, "request_too_large")


@pytest.mark.parametrize(
    ("content_type", "status", "code"),
    [
        ("application/json", 415, "unsupported_media_type"),
        ("multipart/mixed; boundary=B", 415, "unsupported_media_type"),
        ("multipart/form-data", 400, "invalid_form"),
        ("multipart/form-data; boundary=", 400, "invalid_form"),
        ("multipart/form-data; boundary=" + "B" * 71, 400, "invalid_form"),
        ("multipart/form-data; boundary=B; boundary=C", 400, "invalid_form"),
        ('multipart/form-data; boundary="B', 400, "invalid_form"),
    ],
)
async def test_the_header_must_name_a_form_and_its_boundary(
    address: Address, content_type: str, status: int, code: str
) -> None:
    got, answer = await post(address, content=whole(), headers={"content-type": content_type})
    assert (got, answer["error"]["code"]) == (status, code)


async def test_an_empty_form_is_a_form(address: Address) -> None:
    assert await post(address, content=whole(), headers=MULTIPART) == (200, [{}, {}])


async def test_a_form_on_its_way_counts_for_its_key_and_is_given_back(address: Address) -> None:
    body = whole(file(bytes(MOST_FILE_BYTES)))
    head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\n"
    async with calling(address) as slow:
        await slow.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
        await asyncio.wait_for(share.is_nearly_whole.wait(), 30.0)
        status, answer = await post(address, content=_pieces(body), headers=MULTIPART)
        assert (status, answer["error"]["code"]) == (429, "rate_limit_exceeded")
        await slow.send(body[-1:])
        assert (await slow.answer()).status == 200
    assert (await post(address, content=_pieces(body), headers=MULTIPART))[0] == 200
    assert not share._bytes


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(body), 65_536):
        yield body[at : at + 65_536]


ATTACKS: dict[str, Callable[[], bytes]] = {
    "line ends": lambda: b"--B\r\n" + b"\r\n--" * 2_500_000,
    "near boundaries": lambda: whole(file(b"\r\n--A" * 2_000_000)),
    "lines": lambda: b"--B\r\n" + b"A: b\r\n" * 1_500_000,
    "quotes": lambda: b'--B\r\nContent-Disposition: form-data; name="' + b"\\" * 9_000_000,
    "parts": lambda: b"--B\r\n\r\n\r\n" * 900_000,
}


@each_row("attack", ATTACKS)
def test_a_hostile_body_is_read_to_its_end_or_refused(attack: str) -> None:
    """With a boundary that makes each search as long as it can be. A slow parser would not come back."""
    for boundary in (b"B", b"A" * 69 + b"B"):
        body = ATTACKS[attack]().replace(b"--B", b"--" + boundary)
        with suppress(InvalidRequest):
            parse(body, boundary)
