"""The terms of the licences of models, as far as a server must know them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from speech_engine.models import ModelInfo


class LicenceTerms(NamedTuple):
    """The terms of a licence. Without `paid_use`, its models' speech may not be sold. If an operator
    `must_accept` it, its models serve no request before that. `says` is a sentence without its full stop."""

    paid_use: bool
    must_accept: bool
    says: str


_FREE = LicenceTerms(True, False, "paid use is allowed")
_NOT_PAID = LicenceTerms(False, True, "it forbids paid use: nobody may pay for what the model says")
_CPML = LicenceTerms(
    False,
    True,
    "it forbids paid use of the model and of what it says, and the company that sold other licences is gone",
)
_BLIZZARD = LicenceTerms(
    False,
    True,
    "its recordings are for research alone, and whether that reaches what was trained from them is disputed: "
    "nobody may pay for what the model says",
)
_UNKNOWN = LicenceTerms(
    False,
    True,
    "voxgate does not know it: read it, accept it, and say in paid_use_basis why paid use is allowed",
)

_KNOWN = {
    **dict.fromkeys(("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "cc0-1.0"), _FREE),
    **dict.fromkeys(("cc-by-3.0", "cc-by-4.0", "cc-by-sa-4.0", "unlicense", "public-domain"), _FREE),
    **dict.fromkeys(("cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"), _NOT_PAID),
    "cpml": _CPML,
    "blizzard-2013": _BLIZZARD,
}
"""By the licence's name in small letters, as SPDX has it where it does."""


def terms_of(licence: str) -> LicenceTerms:
    """Return the terms of a licence. An unknown licence gets careful terms."""
    return _KNOWN.get(licence.casefold(), _UNKNOWN)


def bound_by(licence: str, basis: str) -> str:
    """Return which of two licences a model keeps to: the stricter one, its own if they are alike.

    `basis` is the licence of the model's source, or "". A licence that is known to forbid paid use is
    stricter than an unknown one: an operator may have a reason why the latter allows it.
    """
    return max((licence, basis), key=_strictness) if basis else licence


def _strictness(licence: str) -> int:
    terms = terms_of(licence)
    if terms.paid_use:
        return 0
    return 1 if terms is _UNKNOWN else 2


def with_licence(models: Iterable[ModelInfo], licence: str) -> tuple[ModelInfo, ...]:
    """Return the models with another licence and its terms. With "" they keep their own."""
    if not licence:
        return tuple(models)
    terms = terms_of(licence)
    return tuple(
        msgspec.structs.replace(
            model, licence=licence, paid_use=terms.paid_use, must_accept_licence=terms.must_accept
        )
        for model in models
    )
