"""What the licences of models allow, as far as a server must know it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from speech_engine.models import ModelInfo


class LicenceTerms(NamedTuple):
    """What a licence allows. Without `paid_use`, nobody may sell what its models say. If an operator
    `must_accept` it, its models serve nobody before that. `says` is a sentence without its full stop."""

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
_UNKNOWN = LicenceTerms(
    False,
    True,
    "voxgate does not know it: read it, accept it, and say in paid_use_basis why paid use is allowed",
)

_KNOWN = {
    **dict.fromkeys(("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "cc0-1.0"), _FREE),
    **dict.fromkeys(("cc-by-3.0", "cc-by-4.0", "cc-by-sa-4.0", "unlicense"), _FREE),
    **dict.fromkeys(("cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"), _NOT_PAID),
    "cpml": _CPML,
}
"""By the licence's name in small letters, as SPDX has it where it does."""


def terms_of(licence: str) -> LicenceTerms:
    """Return what a licence allows. Of an unknown one, the careful answer."""
    return _KNOWN.get(licence.casefold(), _UNKNOWN)


def with_licence(models: Iterable[ModelInfo], licence: str) -> tuple[ModelInfo, ...]:
    """Return models with another licence, and what it allows. With "" they keep their own."""
    if not licence:
        return tuple(models)
    terms = terms_of(licence)
    return tuple(
        msgspec.structs.replace(
            model, licence=licence, paid_use=terms.paid_use, must_accept_licence=terms.must_accept
        )
        for model in models
    )
