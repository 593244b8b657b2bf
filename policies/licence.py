"""What licences allow: some models need the operator's consent first, some are closed to paid plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from speech_engine import ModelInfo

Obstacle = Literal["not_accepted", "not_for_paid_use"]


class AcceptedLicence(msgspec.Struct, frozen=True):
    """What the operator has written for an engine.

    `accepted` is the name of a licence. If that licence forbids paid use, `paid_use_basis` says why the
    operator may sell it, by an agreement for example.
    """

    accepted: str = ""
    paid_use_basis: str = ""


_NOTHING = AcceptedLicence()


class Licences(msgspec.Struct, frozen=True):
    """The accepted licences. If a server is not commercial, it sells nothing, whatever its plans cost."""

    is_commercial: bool = True
    by_engine: Mapping[str, AcceptedLicence] = {}

    def obstacle(self, engine: str, info: ModelInfo, is_paid: bool) -> Obstacle | None:
        """Return what keeps a plan from this model, if anything. A plan `is_paid` if it has a price."""
        if info.paid_use and not info.must_accept_licence:
            return None
        settings = self.by_engine.get(engine, _NOTHING)
        if info.must_accept_licence and not _is_same(settings.accepted, info.licence):
            return "not_accepted"
        if is_paid and self.is_commercial and not info.paid_use and not settings.paid_use_basis:
            return "not_for_paid_use"
        return None


def _is_same(accepted: str, licence: str) -> bool:
    """Compare names: a licence that changes its name must be accepted again."""
    return bool(accepted) and accepted.casefold() == licence.casefold()
