"""`voxgate doctor`: providers of payments without a secret, and addresses that they cannot call."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from proxy.config.config_toml import Config
from proxy.config.finding import Finding, note, ok, wrong
from proxy.features.payments.section import PROVIDERS, SECTION, PaymentsSection

_WHAT = "payments"
_PRIVATE = (".local", ".localhost", ".internal", ".test")
_KEYS = {"mercadopago": "access_token", "stripe": "secret_key"}


def reach(config: Config) -> Iterator[Finding]:
    section = SECTION.of(config)
    used = [name for name in PROVIDERS if any(name in offer.providers for offer in section.offers)]
    if not used:
        return
    for name in used:
        yield from _secrets(name, section)
    url = config.server.public_url
    if not url:
        yield wrong(_WHAT, "providers have no address to call", "set [server] public_url")
    elif not _is_public(url):
        found = f"{url} cannot be called by providers: payments are found only by looks"
        verdict = wrong if section.mercadopago.live or section.stripe.live else note
        yield verdict(_WHAT, found, "set [server] public_url to an https address of the internet")
    else:
        yield ok(_WHAT, " and ".join(f"{url.rstrip('/')}/webhooks/{name}" for name in used))


def _secrets(name: str, section: PaymentsSection) -> Iterator[Finding]:
    provider = getattr(section, name)
    for key in (_KEYS[name], "webhook_secret"):
        if not getattr(provider, key):
            do = f"set [payments.{name}] {key}"
            yield wrong(_WHAT, f"{name} has no {key}, so nothing is sold there", do, name=name)


def _is_public(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return False
    try:
        return ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE)
