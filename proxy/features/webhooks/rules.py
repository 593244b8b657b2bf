"""The allowed targets of a webhook, and the verdict on an answer: pure rules.

An account chooses the address that we call, and must not reach private services through us. So addresses that
are not public are refused, in any form, unless the operator allows their host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from policies.network_addresses import is_address, port_fault
from policies.network_addresses import is_public as is_public
from policies.tasks import SECOND_US

MOST_URL = 2000
DAY_US = 86_400 * SECOND_US
RETRIED_US = DAY_US
"""How long a delivery is tried. Then it has failed."""
TURN_OFF_AFTER_US = 3 * DAY_US
"""After this time without success, a webhook is turned off with its next failed delivery."""
LISTED_US = 7 * DAY_US
"""How long ended deliveries are listed, and can be sent again."""
_GONE_STATUS = 410

_PORTS = {"http": 80, "https": 443}


class Target(NamedTuple):
    """The target of a URL. An IPv6 address has brackets."""

    scheme: str
    host: str
    port: int


def read_url(url: str) -> Target:
    """Return the target of a URL. Raises ValueError with the fault."""
    if len(url) > MOST_URL or not (url.isascii() and url.isprintable()) or set(url) & set(" \\"):
        raise ValueError(f"it must be an address of up to {MOST_URL} ASCII characters without blanks")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("it is no address") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("it must begin with https:// and a host")
    if "@" in parts.netloc:
        raise ValueError("it must have no user and no password")
    if parts.fragment or port == 0:
        raise ValueError("it must have no fragment, and no port 0")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Target(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)


def target_fault(target: Target, is_allowed: Callable[[str], bool]) -> str | None:
    """Return why a target is refused, without a look-up. None: it is not. `is_allowed` tells the hosts of the
    operator, which may have http, any port and any address."""
    if is_allowed(target.host):
        return None
    if target.scheme != "https":
        return "it must begin with https://"
    if (fault := port_fault(target.port)) is not None:
        return fault
    literal = target.host.strip("[]")
    if is_address(literal):
        return None if is_public(literal) else "its address must be public"
    return None if "." in literal.rstrip(".") else "its host must be a name with a dot, or a public address"


Verdict = Literal["delivered", "again", "failed", "gone"]
"""What follows an answer: `again` is tried later, `failed` never again, and `gone` turns the webhook off."""


def judge_status(status: int | None, now: int, began: int) -> Verdict:
    """Judge an answer to a delivery whose tries began at this moment, or 0 for a single try. A `status` of
    None is no answer."""
    if status is not None and 200 <= status < 300:
        return "delivered"
    if status == _GONE_STATUS:
        return "gone"
    return "failed" if now - began >= RETRIED_US else "again"


def must_turn_off(now: int, failing_since: int | None) -> bool:
    """Tell whether a webhook is turned off after a delivery to it has failed for good."""
    return failing_since is not None and now - failing_since >= TURN_OFF_AFTER_US
