"""One mail by a real server: TLS first, bounded, and each answer is an outcome without the server's words."""

import asyncio
from collections.abc import Callable, Coroutine
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.features.mail import smtp, texts
from proxy.features.mail.addresses import is_mail_address
from proxy.features.mail.section import SmtpServer
from proxy.features.mail.smtp import SendOutcome
from tests.features.mail.receiver import CERTIFICATE, CUTS, HANGS, Receiver, receiver
from tests.features.mail.rig import SENDER
from tests.tables import each_row
from tests.waiting import LIMIT_S

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]
TRUST = str(CERTIFICATE)
MAIL = smtp.new_message("mail_1", 1_700_000_000_000_000, SENDER, "ada@example.net", "Olá", "Bom dia, José.\n")


def at(served: Receiver, security: str, password: str = "") -> SmtpServer:
    return SmtpServer("localhost", served.port, security, "u@x" if password else "", password)


async def send(server: SmtpServer, trust: str = TRUST) -> SendOutcome:
    connections = smtp.SmtpConnections(trust)
    try:
        return await connections.send(server, MAIL)
    finally:
        await connections.quit_idle(0.0)


@each_row("security", ["plain", "starttls", "tls"])
async def test_a_mail_arrives_whole(security: str) -> None:
    async with receiver(tls="" if security == "plain" else security) as served:
        assert await send(at(served, security)) == SendOutcome("sent")
        (got,) = served.got
        assert (got["From"], got["To"], got["Subject"]) == (SENDER, "ada@example.net", "Olá")
        assert got["Message-ID"] == MAIL["Message-ID"]
        assert got["Auto-Submitted"] == "auto-generated"
        assert served.text() == "Bom dia, José.\n"
        assert served.was_secure == [security != "plain"]


async def test_without_starttls_neither_mail_nor_password_is_sent() -> None:
    async with receiver(auth_require_tls=False) as served:
        outcome = await send(at(served, "starttls", "right/1"))
        assert outcome == SendOutcome(
            "again", "SMTPNotSupported: the server does not offer STARTTLS", is_down=True
        )
        assert (served.begun, served.logins, served.to) == (0, [], [])


async def test_an_unknown_certificate_gets_nothing() -> None:
    async with receiver(tls="starttls") as served:
        outcome = await send(at(served, "starttls", "right/1"), trust="")
        assert (outcome.result, outcome.is_down, served.begun) == ("again", True, 0)
        assert "certificate" in outcome.reason.lower()


@each_row(("password", "result"), [("right/1", "sent"), ("wrong", "again")])
async def test_a_login_is_made_by_tls_and_a_refused_one_loses_no_mail(password: str, result: str) -> None:
    async with receiver(tls="starttls", auth_required=True) as served:
        outcome = await send(at(served, "starttls", password))
        assert outcome.result == result
        assert served.logins[0] == (b"u@x", password.encode())
        assert password not in repr((outcome, at(served, "tls", password)))


@each_row(
    ("answer", "outcome"),
    [
        ("250 OK", SendOutcome("sent")),
        ("451 ada@example.net later", SendOutcome("again", "SMTP 451")),
        ("554 no ada@example.net", SendOutcome("refused", "SMTP 554")),
        (CUTS, SendOutcome("again", "SMTPServerDisconnected", is_down=True)),
        (HANGS, SendOutcome("again", "SMTPReadTimeoutError", is_down=True)),
    ],
)
async def test_an_answer_decides(answer: str, outcome: SendOutcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "_COMMAND_S", 0.2 if answer == HANGS else 15.0)
    async with receiver(answer) as served:
        assert await send(at(served, "plain")) == outcome


@each_row(
    ("answer", "outcome"),
    [
        ("450 ada@example.net", SendOutcome("again", "SMTP 450")),
        ("550 ada@example.net", SendOutcome("refused", "SMTP 550")),
    ],
)
async def test_an_answer_to_the_address_decides(answer: str, outcome: SendOutcome) -> None:
    async with receiver(on_rcpt={"ada@example.net": answer}) as served:
        assert await send(at(served, "plain")) == outcome
        assert not served.got


async def _silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def _leaves_in_data(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    for answer in (b"220 x", b"250 x", b"250 x", b"250 x", b"354 x"):
        writer.write(answer + b"\r\n")
        await reader.readline()


async def _drips(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"220-x\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


@pytest.mark.clock
@each_row("peer", [_silent, _leaves_in_data, _drips], ids=["silent", "leaves in data", "drips"])
async def test_a_broken_server_holds_no_mail_for_long(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "_MOST_TRY_S", 0.2)
    for step_s in ("_CONNECT_S", "_COMMAND_S"):
        monkeypatch.setattr(smtp, step_s, 3600.0)
    ended: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.ensure_future(peer(reader, writer)))
        await asyncio.wait(ended)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        there = SmtpServer("127.0.0.1", server.sockets[0].getsockname()[1], "plain")
        outcome = await asyncio.wait_for(send(there), LIMIT_S)
        assert (outcome.result, outcome.is_down) == ("again", True)
        for task in ended:
            task.cancel()
        await asyncio.wait(ended)


async def test_no_server_is_another_try() -> None:
    assert await send(SmtpServer("127.0.0.1", 9, "plain")) == SendOutcome(
        "again", "ConnectionRefusedError", is_down=True
    )


@each_row(
    ("address", "is_right"),
    [
        ("ada@example.org", True),
        ("a.b+c_d'e@sub.example.org", True),
        ("josé@exämple.org", True),
        ("ada@localhost", False),
        ("ada@127.0.0.1", False),
        ("ada@127.1", False),
        ("ada@127.0.0.0x1", False),
        ("ada@1.2.3.example", True),
        ("ada@4u.example.x1", True),
        ("ada", False),
        ("@example.org", False),
        ("ada@", False),
        ("ada@exa mple.org", False),
        ("ada@example.org\r\nBcc: b@example.org", False),
        ("ada@example.org\n", False),
        ("ada\0@example.org", False),
        ("ada@example.org,b@example.org", False),
        ("Ada <ada@example.org>", False),
        ('"ada b"@example.org', False),
        (".ada@example.org", False),
        ("ada@-example.org", False),
        ("ada@example..org", False),
        ("ada\u202e@example.org", False),
        ("a" * 65 + "@example.org", False),
        ("a@" + "b" * 64 + ".org", False),
        ("a" * 100_000, False),
        ("a@" + "b." * 50_000 + "org", False),
    ],
    ids=lambda each: str(each)[:40],
)
def test_an_address_is_one_address_and_nothing_else(address: str, is_right: bool) -> None:
    assert is_mail_address(address) is is_right
    if not is_right:
        with pytest.raises(ValueError, match="address"):
            smtp.new_message("mail_1", 0, SENDER, address, "x", "x")


_FACTS = (
    *("code", "title", "plan", "name", "link", "id", "detail", "since", "ended", "alert", "amount"),
    *("currency", "order", "payment", "date", "lapsed_plan"),
)
_KINDS = sorted({name.partition(".")[0] for name in texts.all_texts()["en"]})


@given(st.text(), st.sampled_from(_KINDS))
def test_no_fact_adds_a_header_or_a_line(odd: str, kind: str) -> None:
    def made(fact: str) -> EmailMessage:
        said = texts.render(kind, "pt", dict.fromkeys(_FACTS, fact))
        return smtp.new_message("mail_1", 0, SENDER, "ada@example.net", *said)

    usual, mail = made("x"), made(f"{odd}\r\nBcc: b@example.org\r\n\r\n.\r\nRSET {odd}")
    assert mail.keys() == usual.keys()
    assert [mail[name] for name in ("From", "To", "Message-ID")] == [
        usual[name] for name in ("From", "To", "Message-ID")
    ]
    assert mail["Subject"].isprintable()
    assert mail.get_content().replace("\r\n", "\n").replace("\n", "").isprintable()
    assert mail.get_content().count("\n") == usual.get_content().count("\n")
