"""[mail]: the server that sends mails, and the address that they come from."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import msgspec

from proxy.config.addresses import is_local
from proxy.config.reader import ConfigError, Reader, Section
from proxy.config.secret import resolve
from proxy.features.mail.addresses import is_mail_address
from speech_engine.redacted import Redacted

_PORTS = {"smtps": 465, "smtp": 587}
_PLAIN_PORT = 25
_URL_RULE = 'must be "smtps://USER:PASSWORD@HOST:PORT" or "smtp://…", with / in a password as %2F'


class MailSection(Redacted, msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[mail]: `url` is resolved, as in [storage]: `smtps://` speaks TLS, and `smtp://` begins it, except on
    this machine. Mails come `from` an address, which may have a name: `Voices <voices@example.org>`. Without
    this section, no mails are sent."""

    url: Annotated[
        str,
        msgspec.Meta(
            description='"smtps://USER:PASSWORD@HOST:PORT", "smtp://…", "env:NAME", "file:PATH", or ""'
        ),
    ] = ""
    sender: Annotated[
        str, msgspec.Meta(max_length=300, description='an address, "NAME <NAME@example.org>"')
    ] = msgspec.field(default="", name="from")


class SmtpServer(Redacted, msgspec.Struct, frozen=True):
    """The server of a URL. `security` is `plain` on this machine alone."""

    host: str
    port: int
    security: str
    user: str = ""
    password: str = ""


def read_url(url: str) -> SmtpServer:
    """Return the server of a URL. Raises ValueError, whose message never has the URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(_URL_RULE) from None
    is_whole = host.isascii() and url.isprintable() and " " not in url and parts.path in ("", "/")
    if parts.scheme not in _PORTS or not host or not is_whole or parts.query or parts.fragment or port == 0:
        raise ValueError(_URL_RULE)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise ValueError("has a user or a password alone; give both or none")
    if parts.scheme == "smtps":
        return SmtpServer(host, port or _PORTS["smtps"], "tls", user, password)
    if is_local(host):
        return SmtpServer(host, port or _PLAIN_PORT, "plain", user, password)
    return SmtpServer(host, port or _PORTS["smtp"], "starttls", user, password)


def _read(reader: Reader, value: object, environ: Mapping[str, str], folder: Path) -> MailSection:
    section = reader.section(MailSection, value, "mail") or MailSection()
    try:
        url = resolve(section.url, environ, folder)
        if url:
            read_url(url)
    except (ConfigError, ValueError) as error:
        reader.fault("mail.url", str(error))
        url = ""
    is_sender = section.sender.isprintable() and is_mail_address(parseaddr(section.sender)[1])
    if section.url and not is_sender:
        reader.fault("mail.from", 'must be the address that mails come from, "Voices <voices@example.org>"')
    return msgspec.structs.replace(section, url=url)


SECTION = Section("mail", MailSection, _read)
