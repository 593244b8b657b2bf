"""[samples]: the megabytes for samples of voices, and the engines that may be paid for them."""

from __future__ import annotations

from typing import Annotated

import msgspec

from proxy.config.reader import Section


class SamplesSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[samples]: samples have `mb` megabytes, 0 for none. Engines in `paid` may speak, at a price, one sample
    of each voice that [front] names."""

    mb: Annotated[int, msgspec.Meta(ge=0, le=4096, description="a number of megabytes, 0 to 4096")] = 64
    paid: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=100)], ...],
        msgspec.Meta(max_length=50, description="names of engines"),
    ] = ()


SECTION = Section("samples", SamplesSection)
