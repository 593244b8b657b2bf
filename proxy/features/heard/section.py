"""[heard]: what is checked, and at whose cost."""

from __future__ import annotations

from typing import Annotated

import msgspec

from proxy.config.reader import Section


class CheckSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[heard]: whether the steps of `jobs` are checked where nothing else is said, the `share` of a
    recogniser's windows that checks get while transcriptions wait, and whether a provider that bills a text
    when it gets it is `paid_again` for the same one."""

    jobs: bool = False
    share: Annotated[
        float, msgspec.Meta(ge=0.01, le=0.9, description="a part of the windows, 0.01 to 0.9")
    ] = 0.25
    paid_again: bool = False


SECTION = Section("heard", CheckSection)
