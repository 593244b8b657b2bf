"""[jobs]: how long a job stays after its end."""

from __future__ import annotations

from typing import Annotated

import msgspec

from proxy.config.feature_sections import Section


class JobSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: Annotated[
        float, msgspec.Meta(gt=0, le=3650, description="a number of days, above 0 and up to 3650")
    ] = 7.0


JOBS = Section("jobs", JobSection)
