"""`voxgate doctor` on [mail]: whether its server offers TLS, and takes our login."""

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


def look(config: Config) -> Iterator[Finding]:
    """Connect and log in, without a mail."""
    section = SECTION.of(config)
    if not section.url:
        return
    at = read_url(section.url)
    shown = f"{at.host}:{at.port}"
    fault = asyncio.run(_fault(config))
    if fault:
        yield wrong("mail", f"{shown}: {fault}", "correct [mail] url, or the server there")
    else:
        yield ok("mail", f"{shown} takes mails, {'on this machine' if at.security == 'plain' else 'by TLS'}")


async def _fault(config: Config) -> str:
    section = SECTION.of(config)
    domain = smtp.domain_of(parseaddr(section.sender)[1])
    try:
        async with asyncio.timeout(_MOST_S):
            await smtp.say_goodbye(await smtp.connect(read_url(section.url), config.upstream.ca_file, domain))
            return ""
    except (SMTPException, OSError) as error:
        return smtp.shown(error)
