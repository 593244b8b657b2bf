"""One try, over real connections: its address is looked up once and judged, and its answer bounded."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from proxy.features.webhooks import rules, sender
from proxy.features.webhooks.sender import (
    BAD_ANSWER,
    NO_ANSWER,
    NOT_REACHED,
    NOT_REACHED_THERE,
    REDIRECT,
    Sender,
    WebhookRequest,
)
from tests.features.webhooks.receiver import OK, receiver, status
from tests.tables import each_row

CERTIFICATE = Path(__file__).parents[2] / "proxy/engines/localhost.pem"


class Names:
    """A name server that says something else each time."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Any]:
        self.asked.append(host)
        found = []
        for address in self.addresses.pop(0).split():
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            place = (address, port, 0, 0) if ":" in address else (address, port)
            found.append((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place))
        return found


def letter(url: str, *, is_allowed: bool = False) -> WebhookRequest:
    return WebhookRequest("acc_1", url, {"webhook-id": "evt_1"}, b'{"a":1}', is_allowed)


@pytest.fixture
def second_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.2 stands for an address of the internet; all others are what they are."""
    real = rules.is_public
    monkeypatch.setattr(rules, "is_public", lambda address: address == "127.0.0.2" or real(address))


async def test_a_letter_arrives(tmp_path: Path) -> None:
    async with receiver() as at:
        outcome = await Sender().send(letter(at.url, is_allowed=True))
    assert (outcome.status, outcome.reason) == (200, "")
    (told,) = at.told
    assert told.line == "POST /hook?token=hush HTTP/1.1"
    assert (told.body, told.headers["webhook-id"]) == (b'{"a":1}', "evt_1")
    assert told.headers["host"] == f"127.0.0.1:{at.port}"
    assert "hush" not in repr(letter(at.url))


@each_row(
    "addresses",
    [
        *("127.0.0.1", "169.254.169.254", "::1", "10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1"),
        "127.0.0.2 127.0.0.1",
        "",
    ],
)
@pytest.mark.usefixtures("second_is_public")
async def test_a_name_of_any_address_that_is_not_public_reaches_nobody(addresses: str) -> None:
    async with receiver() as inner, receiver(host="127.0.0.2", port=inner.port) as outer:
        names = Names(addresses)
        outcome = await Sender(look_up=names).send(letter(f"http://hooks.example.org:{inner.port}/"))
        assert (outcome.status, outcome.reason) == (None, NOT_REACHED)
        assert (inner.connections, outer.connections) == (0, 0)
        assert names.asked == ["hooks.example.org"]


@pytest.mark.usefixtures("second_is_public")
async def test_a_name_that_moves_is_looked_up_once_a_try_and_never_reaches_what_is_private() -> None:
    async with receiver() as inner, receiver(host="127.0.0.2", port=inner.port) as outer:
        names = Names("127.0.0.2", "127.0.0.1", "127.0.0.2")
        sends = Sender(look_up=names)
        url = f"http://hooks.example.org:{inner.port}/"
        assert [(await sends.send(letter(url))).status for _ in range(3)] == [200, None, 200]
        assert len(names.asked) == 3
        assert (inner.connections, outer.connections) == (0, 2), "each try has its own connection"
        assert outer.told[0].headers["host"] == f"hooks.example.org:{inner.port}"


@pytest.mark.parametrize(("name", "is_reached"), [("localhost", True), ("hooks.example.org", False)])
@pytest.mark.usefixtures("second_is_public")
async def test_the_certificate_is_for_the_name_not_for_the_address(name: str, is_reached: bool) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, server_name, _context: asked.append(server_name)
    async with receiver(host="127.0.0.2", context=context) as outer:
        sends = Sender(str(CERTIFICATE), Names("127.0.0.2"))
        outcome = await sends.send(letter(f"https://{name}:{outer.port}/"))
        assert asked == [name]
        assert (outcome.reason, len(outer.told)) == (("", 1) if is_reached else (NOT_REACHED, 0))


async def test_an_unknown_name_and_a_private_address_say_the_same() -> None:
    async with receiver() as at:
        closed = at.port

    async def unknown(_host: str, _port: int) -> Sequence[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    outcomes = [
        await Sender(look_up=unknown).send(letter("https://hooks.example.org/")),
        await Sender(look_up=Names("10.0.0.1")).send(letter("https://hooks.example.org/")),
        await Sender(look_up=Names("127.0.0.1")).send(letter("https://hooks.example.org/")),
    ]
    assert {(each.status, each.reason) for each in outcomes} == {(None, NOT_REACHED)}
    assert len({each.detail for each in outcomes}) == 2, "the operator's log tells them apart"
    allowed = await Sender().send(letter(f"http://127.0.0.1:{closed}/", is_allowed=True))
    assert (allowed.status, allowed.reason) == (None, NOT_REACHED_THERE)


async def test_a_redirect_is_not_followed() -> None:
    async with receiver() as inner, receiver(status(307, f"location: {inner.url}")) as at:
        outcome = await Sender().send(letter(at.url, is_allowed=True))
        assert (outcome.status, outcome.reason) == (307, REDIRECT)
        assert inner.connections == 0


@each_row(
    ("answer", "code", "reason"),
    [
        (status(500), 500, "It answered with HTTP 500."),
        (status(410), 410, "It answered with HTTP 410."),
        (b"no HTTP at all\r\n\r\n", None, BAD_ANSWER),
        (b"", None, BAD_ANSWER),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\nabc", 200, ""),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\ncut", 200, ""),
    ],
)
async def test_an_answer_is_told_by_its_status_alone(answer: bytes, code: int | None, reason: str) -> None:
    async with receiver(answer) as at:
        outcome = await Sender().send(letter(at.url, is_allowed=True))
    assert (outcome.status, outcome.reason) == (code, reason)


async def test_a_wait_that_the_receiver_wants_is_told() -> None:
    async with receiver(status(503, "retry-after: 120"), status(503, "retry-after: soon")) as at:
        sends = Sender()
        waits = [(await sends.send(letter(at.url, is_allowed=True))).retry_after_s for _ in range(2)]
    assert waits == [120.0, 0.0]


@pytest.mark.clock
async def test_a_receiver_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_HEAD_S", 1.0)
    async with receiver(None) as at:
        outcome = await Sender().send(letter(at.url, is_allowed=True))
    assert (outcome.status, outcome.reason) == (None, NO_ANSWER)


@pytest.mark.clock
async def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_BODY_S", 0.2)
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n"
    async with receiver(head + bytes(4 * 1024 * 1024), head) as at:
        sends = Sender()
        assert [(await sends.send(letter(at.url, is_allowed=True))).status for _ in range(2)] == [200, 200]


@pytest.mark.clock
async def test_a_name_server_that_keeps_silent_holds_up_neither_the_loop_nor_other_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "_HEAD_S", 1.5)
    real, held = socket.getaddrinfo, threading.Event()

    def slow(host: str, *more: Any, **named: Any) -> Any:
        if host == "slow.example.org":
            held.wait(20)
        return real("127.0.0.1" if host.endswith(".org") else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    sends = Sender()
    async with receiver(OK) as at:
        silent = letter("https://slow.example.org/", is_allowed=True)
        waits = [asyncio.create_task(sends.send(silent)) for _ in range(4)]
        assert {(await each).reason for each in waits} == {NOT_REACHED_THERE}
        refused = await sends.send(letter(at.url, is_allowed=True))
        assert (refused.status, "still wait" in refused.detail) == (None, True), "its look-ups go on"
        other = letter(at.url, is_allowed=True)._replace(account="acc_2")
        assert (await sends.send(other)).status == 200
        held.set()
        sends._threads = sender.LookUpThreads()
        assert (await sends.send(letter(at.url, is_allowed=True))).status == 200


@pytest.mark.clock
async def test_look_ups_that_wait_for_a_slot_count_for_their_account(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()

    def slow(*_names: object, **_more: object) -> list[object]:
        held.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    threads = sender.LookUpThreads()
    others = [
        asyncio.ensure_future(threads.of(f"acc_{number % 8}")("a.example.org", 443)) for number in range(32)
    ]
    waiting = [asyncio.ensure_future(threads.of("acc_ada")("b.example.org", 443)) for _ in range(6)]
    refused, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
    assert len(refused) == 2
    # A look-up that is cancelled in the line gives its place back.
    waiting[0].cancel()
    await asyncio.wait([waiting[0]])
    last = asyncio.ensure_future(threads.of("acc_ada")("b.example.org", 443))
    held.set()
    assert await asyncio.gather(*others, *waiting[1:4], last) == [[]] * 36
    for each in refused:
        assert isinstance(each.exception(), OSError)


async def test_a_look_up_without_a_thread_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    threads = sender.LookUpThreads()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(sender._MOST_LOOK_UPS + 1):
            with pytest.raises(OSError, match="no thread left"):
                await threads.of("acc_ada")("127.0.0.1", 443)
    assert await threads.of("acc_ada")("127.0.0.1", 443)


@pytest.mark.clock
async def test_a_look_up_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender, "_MOST_LOOK_UPS", 1)
    monkeypatch.setattr(sender, "_MOST_LOOK_UPS_OF_ACCOUNT", 1)
    monkeypatch.setattr(sender, "_HEAD_S", 2.0)
    async with receiver() as at:
        sends = Sender()
        unknown = letter("http://hooks.invalid..name/", is_allowed=True)
        assert (await sends.send(unknown)).reason == NOT_REACHED_THERE
        assert [(await sends.send(letter(at.url, is_allowed=True))).status for _ in range(2)] == [200, 200]
