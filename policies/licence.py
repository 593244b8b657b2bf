"""The rules of licences: some models need the operator's consent first, some are closed to paid plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from speech_engine import ModelInfo

Obstacle = Literal["not_accepted", "not_for_paid_use"]


class AcceptedLicence(msgspec.Struct, frozen=True):
    """The operator's settings for the licence of an engine.

    `accepted` is the name of a licence. If that licence forbids paid use, `paid_use_basis` says why the
    operator may sell it, by an agreement for example.
    """

    accepted: str = ""
    paid_use_basis: str = ""


_NOTHING = AcceptedLicence()


class Licences(msgspec.Struct, frozen=True):
    """The accepted licences. A server that is not commercial sells nothing, even if its plans have prices."""

    is_commercial: bool = True
    by_engine: Mapping[str, AcceptedLicence] = {}

    def obstacle(self, engine: str, info: ModelInfo, is_paid: bool) -> Obstacle | None:
        """Return the reason why a plan may not use this model, or None. A plan with a price `is_paid`."""
        if info.paid_use and not info.must_accept_licence:
            return None
        settings = self.by_engine.get(engine, _NOTHING)
        # A licence that changes its name must be accepted again.
        accepted = settings.accepted.casefold() if info.must_accept_licence else ""
        if info.must_accept_licence and (not accepted or accepted != info.licence.casefold()):
            return "not_accepted"
        if is_paid and self.is_commercial and not info.paid_use and not settings.paid_use_basis:
            return "not_for_paid_use"
        return None
