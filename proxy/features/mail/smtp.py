"""Sends mails to one address each over SMTP, and keeps connections for the next mails."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from contextlib import ExitStack, closing, suppress
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, parseaddr
from typing import Literal, NamedTuple

from aiosmtplib import (
    SMTP,
    SMTPConnectError,
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPResponseException,
)

from policies.tasks import SECOND_US
from proxy.features.mail.addresses import is_mail_address
from proxy.features.mail.section import SmtpServer

_COMMAND_S = 15.0
_CONNECT_S = 9.0  # A server may think about a mail, and not about its greeting.
_MOST_TRY_S = 30.0
_QUIT_S = 2.0
_IDLE_S = 5.0
_MOST_MAILS = 50
"""The most mails of a connection: servers close connections that never end."""


class SendOutcome(NamedTuple):
    """The result of a try. `reason` has codes and names of faults alone: a server's words may quote an
    address. With `again`, another try may succeed; `is_down` if it is the server's fault for any mail."""

    result: Literal["sent", "refused", "again"]
    reason: str = ""
    is_down: bool = False


def digest_of(row: str, address: str) -> str:
    return hashlib.sha256(f"{row}\0{address}".encode()).hexdigest()[:16]


def new_message(row: str, at: int, sender: str, to: str, subject: str, body: str) -> EmailMessage:
    """Return a mail. Its Message-ID follows from its row and its address, so that a receiver sees one mail
    although it was sent twice. Raises ValueError for a text that is no address."""
    if not is_mail_address(to):
        raise ValueError("not an address")
    name, from_ = parseaddr(sender)
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = _address(from_, name)
    mail["To"] = _address(to)
    mail["Subject"] = subject
    mail["Date"] = format_datetime(datetime.fromtimestamp(at // SECOND_US, UTC))
    mail["Message-ID"] = f"<{row}.{digest_of(row, to)}@{domain_of(from_)}>"
    # With this header, machines do not answer with a note of absence.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(body)
    return mail


def domain_of(address: str) -> str:
    """Return the domain as name servers know it."""
    return address.rpartition("@")[2].encode("idna").decode()


def _address(text: str, name: str = "") -> Address:
    return Address(name, text.rpartition("@")[0], domain_of(text))


class _Connection(NamedTuple):
    """A connection to a server, which has sent so many `mails`."""

    server: SmtpServer
    smtp: SMTP
    mails: int = 0
    idle_since: float = 0.0


class SmtpConnections:
    """The open connections of a worker. Each sends one mail after the other. After a fault it is closed, so
    that no mail follows an unfinished one."""

    def __init__(self, ca_file: str) -> None:
        self._ca_file = ca_file
        self._idle: list[_Connection] = []

    async def send(self, server: SmtpServer, mail: EmailMessage) -> SendOutcome:
        """Send a mail once, within `_MOST_TRY_S` seconds. Every failure is an outcome, never an exception."""
        connection = None
        try:
            async with asyncio.timeout(_MOST_TRY_S):
                connection = await self._take_connection(server, mail["From"].addresses[0].domain)
                await connection.smtp.send_message(mail)
            now = asyncio.get_running_loop().time()
            self._idle.append(connection._replace(mails=connection.mails + 1, idle_since=now))
            connection = None
        except SMTPRecipientsRefused as error:
            return _refusal(error.recipients[0].code)
        except SMTPResponseException as error:
            # Without a connection, the login or the greeting was refused: the mail is not at fault.
            if connection is None:
                return SendOutcome("again", f"SMTP {error.code}", is_down=True)
            return _refusal(error.code)
        except SMTPNotSupported as error:
            # With a connection, the address has letters that the server does not support.
            return SendOutcome(
                "refused" if connection else "again", describe_fault(error), is_down=not connection
            )
        except (SMTPException, OSError) as error:
            return SendOutcome("again", describe_fault(error), is_down=True)
        finally:
            if connection is not None:
                connection.smtp.close()
        return SendOutcome("sent")

    async def quit_idle(self, after_s: float = _IDLE_S) -> None:
        """Close the connections that were idle for so long."""
        until = asyncio.get_running_loop().time() - after_s
        over = [connection for connection in self._idle if connection.idle_since <= until]
        self._idle = [connection for connection in self._idle if connection.idle_since > until]
        await asyncio.gather(*(say_goodbye(connection.smtp) for connection in over))

    async def _take_connection(self, server: SmtpServer, domain: str) -> _Connection:
        """Return an idle connection that still answers, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            # Without `pop_all`, the connection is closed here.
            with suppress(SMTPException, OSError), ExitStack() as unusable:
                unusable.callback(connection.smtp.close)
                if connection.server == server and connection.mails < _MOST_MAILS:
                    await connection.smtp.noop(timeout=_QUIT_S)
                    unusable.pop_all()
                    return connection
        return _Connection(server, await connect(server, self._ca_file, domain))


async def connect(server: SmtpServer, ca_file: str, domain: str) -> SMTP:
    """Connect, begin TLS and log in: neither a mail nor a password is sent before TLS."""
    # EHLO has the domain of the mail, since a look-up of this machine's name may hang.
    smtp = SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.security == "tls",
        start_tls=False,
        cert_bundle=ca_file or None,
        local_hostname=domain,
        timeout=_COMMAND_S,
    )
    with ExitStack() as failed:
        failed.callback(smtp.close)
        async with asyncio.timeout(_CONNECT_S):
            await smtp.connect()
            if server.security == "starttls":
                await smtp.ehlo()
                if not smtp.supports_extension("starttls"):
                    raise SMTPNotSupported("the server does not offer STARTTLS")
                await smtp.starttls()
            if server.user:
                await smtp.login(server.user, server.password)
        failed.pop_all()
    return smtp


async def say_goodbye(smtp: SMTP) -> None:
    # The mails are sent, so a fault here does no harm.
    with closing(smtp), suppress(SMTPException, OSError):
        await smtp.quit(timeout=_QUIT_S)


def _refusal(code: int) -> SendOutcome:
    return SendOutcome("refused" if code >= 500 else "again", f"SMTP {code}")


def describe_fault(error: Exception) -> str:
    """Return what an operator needs, without the server's words."""
    while isinstance(error, SMTPConnectError) and isinstance(error.__cause__, OSError):
        error = error.__cause__
    is_without_server_words = isinstance(error, SMTPNotSupported | ssl.SSLCertVerificationError)
    return f"{type(error).__name__}: {error}" if is_without_server_words else type(error).__name__
