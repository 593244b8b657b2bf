"""What one revision of the configuration sells, and at which providers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from policies.plans import Plan
from proxy.api.accounts import default_plan
from proxy.config.config_toml import Config
from proxy.errors import InvalidRequest
from proxy.features.payments.provider import Provider
from proxy.features.payments.section import SECTION, PaymentsSection, SoldOffer


class Sales(NamedTuple):
    """The offers with their plans and the providers of a revision. `lapsed_plan` follows a paid month."""

    section: PaymentsSection
    plans: Mapping[str, Plan]
    providers: Mapping[str, Provider]
    lapsed_plan: str
    public_url: str

    @classmethod
    def of(cls, config: Config, providers: Mapping[str, Provider]) -> Sales:
        section = SECTION.of(config)
        # `check` names those without a plan. Nobody could have them.
        plans = {name: offer for name, offer in section.plans.items() if name in config.plans}
        section = msgspec.structs.replace(section, plans=plans)
        lapsed = section.lapsed_plan or (default_plan(config) if config.plans else "")
        return cls(section, config.plans, providers, lapsed, config.server.public_url)

    def find(self, kind: str, name: str, provider: str) -> SoldOffer:
        """Return what is sold under this name at this provider. Raises InvalidRequest."""
        offers = self.section.plans if kind == "plan" else self.section.packs
        offer = offers.get(name)
        if offer is None:
            raise InvalidRequest(
                f"No {kind} '{name[:80]}' is sold here. GET /v1/plans has what is.",
                param=kind,
                code="offer_not_found",
            )
        if provider not in offer.providers or provider not in self.providers:
            raise InvalidRequest(
                f"'{name[:80]}' is not sold at '{provider[:80]}'. GET /v1/plans has its providers.",
                param="provider",
                code="offer_not_found",
            )
        return offer

    def allowance_of(self, offer: SoldOffer) -> int | None:
        """Return the credits of a month, None if they have no limit, or for a pack."""
        allowance = self.plans[offer.name].allowance if offer.kind == "plan" else None
        return allowance if isinstance(allowance, int) else None
