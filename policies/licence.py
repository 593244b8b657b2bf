"""Whose licence allows what: models to be accepted by the operator first, and those closed to paid plans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from speech_engine import ModelInfo

Obstacle = Literal["not_accepted", "not_for_paid_use"]


class AcceptedLicence(msgspec.Struct, frozen=True):
    """What the operator has written for an engine: the licence that is accepted, and on which ground its
    models are used for money where their licence forbids that (an agreement of one's own, say)."""

    accepted: str = ""
    paid_use_basis: str = ""


_NOTHING = AcceptedLicence()


class Licences(msgspec.Struct, frozen=True):
    """`settled` is by engine. Only a server that `is_commercial` sells anything, whatever its plans cost."""

    is_commercial: bool = True
    settled: Mapping[str, AcceptedLicence] = {}

    def obstacle(self, engine: str, info: ModelInfo, is_paid: bool) -> Obstacle | None:
        """What keeps a plan from this model, if anything does; `is_paid` is whether the plan has a price."""
        if info.paid_use and not info.must_accept_licence:
            return None
        settled = self.settled.get(engine, _NOTHING)
        if info.must_accept_licence and not _is_same(settled.accepted, info.licence):
            return "not_accepted"
        if is_paid and self.is_commercial and not info.paid_use and not settled.paid_use_basis:
            return "not_for_paid_use"
        return None


def _is_same(accepted: str, licence: str) -> bool:
    """By name, so that one that changes has to be accepted anew."""
    return bool(accepted) and accepted.casefold() == licence.casefold()
