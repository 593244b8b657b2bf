"""[consent]: to whom the owners of voices consent, and what another speaker's consent leads to."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

_OPERATOR = "voxgate"


class ConsentSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[consent]: to whom owners of voices consent. `comparer` compares the speakers of consent and sample."""

    operator: Annotated[
        str,
        msgspec.Meta(
            max_length=100, pattern=r"^[^\x00-\x1f]+\Z", description="a name of up to 100 characters"
        ),
    ] = _OPERATOR
    comparer: Annotated[str, msgspec.Meta(description='the name of a comparer, or "" for none')] = ""
    other_speaker: Annotated[
        Literal["record", "refuse"], msgspec.Meta(description='"record" or "refuse"')
    ] = "record"
