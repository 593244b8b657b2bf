"""[samples]: how much room samples of voices have, and which providers may be paid for them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from proxy.config.reader import Section


class SamplesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[samples]: their room of `mb` megabytes, 0 for none, and the engines that are `paid` once for each of
    the voices that [front] names."""

    mb: Annotated[int, msgspec.Meta(ge=0, le=4096, description="a number of megabytes, 0 to 4096")] = 64
    paid: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=100)], ...],
        msgspec.Meta(max_length=50, description="names of engines"),
    ] = ()


SECTION = Section("samples", SamplesSection)
