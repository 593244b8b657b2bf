"""[jobs]: how long a job stays after its end, and whether the server speaks its steps itself."""

from __future__ import annotations

from typing import Annotated

import msgspec

from proxy.config.feature_sections import Section
from proxy.config.sections import Switch


class JobSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: Annotated[
        float, msgspec.Meta(gt=0, le=3650, description="a number of days, above 0 and up to 3650")
    ] = 7.0
    here: Switch = True


JOBS = Section("jobs", JobSection)
