"""`voxgate doctor` on [mail]: whether the server offers TLS and accepts our login."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from email.utils import parseaddr

from aiosmtplib import SMTPException

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ok, wrong
from proxy.features.mail import smtp
from proxy.features.mail.section import SECTION, read_url

_MOST_S = 10.0


def check_server(config: Config) -> Iterator[Finding]:
    """Connect and log in, without a mail."""
    section = SECTION.of(config)
    if not section.url:
        return
    server = read_url(section.url)
    shown = f"{server.host}:{server.port}"
    fault = asyncio.run(_connect_fault(config))
    if fault:
        yield wrong("mail", f"{shown}: {fault}", "correct [mail] url, or the server there")
    else:
        yield ok(
            "mail", f"{shown} takes mails, {'on this machine' if server.security == 'plain' else 'by TLS'}"
        )


async def _connect_fault(config: Config) -> str:
    section = SECTION.of(config)
    domain = smtp.domain_of(parseaddr(section.sender)[1])
    try:
        async with asyncio.timeout(_MOST_S):
            await smtp.say_goodbye(await smtp.connect(read_url(section.url), config.upstream.ca_file, domain))
            return ""
    except (SMTPException, OSError) as error:
        return smtp.describe_fault(error)
