"""[cache]: the size and age of stored audio, and whether audio is stored by default."""

from __future__ import annotations

from typing import Annotated

import msgspec

from proxy.config.reader import Section
from proxy.config.sections import Megabytes, Switch


class CacheSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    on: Switch = False
    megabytes: Megabytes = 1024
    days: Annotated[
        float, msgspec.Meta(gt=0, le=3650, description="a number of days, above 0 and up to 3650")
    ] = 30.0


SECTION = Section("cache", CacheSection)
