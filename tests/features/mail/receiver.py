"""A real SMTP server for tests, by aiosmtpd. It answers as it is told, and keeps what it has got."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

CERTIFICATE = Path(__file__).parents[2] / "proxy/engines/localhost.pem"
HANGS = "hangs"
CUTS = "cuts"
"""Answers of a receiver: never one, or the end of the connection."""


class Receiver:
    """What has come: `got` are the mails, and `commands` whatever else was said to it. The first answer of a
    table is for the first mail: "" takes it."""

    def __init__(self, on_data: Sequence[str], on_rcpt: dict[str, str]) -> None:
        self.port = 0
        self.got: list[EmailMessage] = []
        self.to: list[str] = []
        self.was_secure: list[bool] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self.begun = self.open = self.goodbyes = 0
        self.conversations: list[SMTP] = []
        self._on_data = list(on_data)
        self._on_rcpt = on_rcpt

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def text(self, number: int = -1) -> str:
        return str(self.got[number].get_content()).replace("\r\n", "\n")

    @property
    def connections(self) -> int:
        return len(self.conversations)

    def close_all(self) -> None:
        for each in self.conversations:
            if each.transport is not None:
                each.transport.close()

    # The names of hooks are those of the library.
    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        self.goodbyes += 1
        return "221 Bye"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return self._on_rcpt.get(address, "250 OK")

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.begun += 1
        answer = self._on_data.pop(0) if self._on_data else ""
        assert server.transport is not None
        if answer == CUTS:
            server.transport.close()
        elif answer != HANGS and answer[:1] in ("4", "5"):
            return answer
        assert isinstance(envelope.content, bytes)
        self.got.append(message_from_bytes(envelope.content, policy=policy.SMTP))
        self.to += envelope.rcpt_tos
        self.was_secure.append(server.transport.get_extra_info("sslcontext") is not None)
        if answer == HANGS:
            self.open += 1
            await asyncio.Event().wait()
        return "250 OK"

    def authenticate(
        self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right/1", handled=False)


@asynccontextmanager
async def receiver(
    *on_data: str, on_rcpt: dict[str, str] | None = None, tls: str = "", **options: Any
) -> AsyncIterator[Receiver]:
    """Run one: with `tls`, "starttls" is offered, or "tls" is spoken at once."""
    kept, loop = Receiver(on_data, on_rcpt or {}), asyncio.get_running_loop()
    trust = None
    if tls:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trust.load_cert_chain(CERTIFICATE)
    served = kept.conversations

    def serve() -> SMTP:
        extra = {**options, "enable_SMTPUTF8": True}
        if tls == "starttls":
            extra["tls_context"] = trust
        served.append(
            SMTP(kept, hostname="mx.example.org", loop=loop, authenticator=kept.authenticate, **extra)
        )
        return served[-1]

    server = await loop.create_server(serve, "127.0.0.1", 0, ssl=trust if tls == "tls" else None)
    kept.port = server.sockets[0].getsockname()[1]
    try:
        yield kept
    finally:
        server.close()
        kept.close_all()
        # After a refused handshake, a conversation would wait for ever.
        left = [task for task in asyncio.all_tasks() if "SMTP._handle_client" in str(task.get_coro())]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await server.wait_closed()
