"""`voxgate check` on the offers: each must be for sale. `voxgate doctor` on the providers: their secrets, and
whether they can call this server."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from policies.limits import AGREED_LIMITS, limit_values
from policies.network_addresses import is_address, is_public
from proxy.config.config_toml import Config
from proxy.config.finding import Finding, ProbeResults, note, ok, wrong
from proxy.engines.registry import Registry
from proxy.features.payments.section import (
    PROVIDERS,
    SECRETS,
    SECTION,
    PaymentsSection,
    ProviderSection,
    SoldOffer,
)

_TEST_KEY_PREFIXES = ("TEST-", "sk_test_", "rk_test_")
_LIVE_KEY_PREFIXES = ("sk_live_", "rk_live_")
_PRIVATE_SUFFIXES = (".local", ".localhost", ".internal", ".test")


def check_offers(config: Config, _registry: Registry, _results: ProbeResults) -> Iterator[Finding]:
    """Yield a finding for each offer that cannot be bought, and each test key in live mode or the reverse."""
    section = SECTION.of(config)
    if section.lapsed_plan and section.lapsed_plan not in config.plans:
        found = f"lapsed_plan = {section.lapsed_plan!r} is no plan here"
        yield wrong("payments", found, f"name one of {', '.join(config.plans)}")
    for offer in section.offers:
        yield from _check_offer(config, section, offer)
    for name in PROVIDERS:
        provider: ProviderSection = getattr(section, name)
        is_live = provider.live
        if provider.key.startswith(_TEST_KEY_PREFIXES if is_live else _LIVE_KEY_PREFIXES):
            found = (
                f"live = {str(is_live).lower()}, and the key is for {'tests' if is_live else 'real money'}"
            )
            yield wrong("payments", found, "name the key of that mode, or change live", name=name)
    if section.offers and not config.server.commercial:
        found = "[server] commercial = false, and something is sold"
        yield wrong("payments", found, "set commercial = true, or sell nothing")


def _check_offer(config: Config, section: PaymentsSection, offer: SoldOffer) -> Iterator[Finding]:
    unset = [name for name in PROVIDERS if name in offer.providers and not getattr(section, name).is_on]
    if unset:
        found = f"it is sold at {', '.join(unset)}, without a key and a secret there"
        yield wrong("payments", found, f"set [payments.{unset[0]}]", name=offer.name)
    if offer.kind == "pack":
        return
    plan = config.plans.get(offer.name)
    if plan is None:
        yield wrong("payments", "a month of it is sold, and it is no plan here", "add it", name=offer.name)
        return
    if not plan.price:
        found = "a month of it is sold, and it has no price"
        yield wrong("payments", found, 'write price = "…" in the plan', name=offer.name)
    agreed_limits = [
        limit for limit, value in limit_values(plan, AGREED_LIMITS).items() if value == "account"
    ]
    if agreed_limits:
        found = f"a month of it is sold, and it leaves {', '.join(agreed_limits)} to each account"
        yield wrong("payments", found, "write a number", name=offer.name)


def check_providers(config: Config) -> Iterator[Finding]:
    section = SECTION.of(config)
    used = [name for name in PROVIDERS if any(name in offer.providers for offer in section.offers)]
    if not used:
        return
    for name in used:
        for key in SECRETS[name]:
            if not getattr(getattr(section, name), key):
                do = f"set [payments.{name}] {key}"
                yield wrong("payments", f"{name} has no {key}, so nothing is sold there", do, name=name)
    url = config.server.public_url
    if not url:
        yield wrong("payments", "providers have no address to call", "set [server] public_url")
    elif not _is_public(url):
        found = f"{url} cannot be called by providers: payments are found only by looks"
        verdict = wrong if section.mercadopago.live or section.stripe.live else note
        yield verdict("payments", found, "set [server] public_url to an https address of the internet")
    else:
        yield ok("payments", " and ".join(f"{url.rstrip('/')}/webhooks/{name}" for name in used))


def _is_public(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_name = "." in host and not (is_address(host) or host.endswith(_PRIVATE_SUFFIXES))
    return parts.scheme == "https" and (is_name or is_public(host))
