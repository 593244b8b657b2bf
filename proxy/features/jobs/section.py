"""[jobs]: how long a job is stored after its end, the length of its steps, their processes, and trainings."""

from __future__ import annotations

from typing import Annotated

import msgspec

from proxy.config.plans import JobDays
from proxy.config.reader import Section
from proxy.config.sections import Config, Switch


class JobSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: JobDays = 7.0
    step_characters: Annotated[
        int, msgspec.Meta(ge=200, le=3500, description="a number of characters, 200 to 3500")
    ] = 2000
    here: Switch = True
    training_gb: Annotated[float, msgspec.Meta(gt=0.0, description="a number of gigabytes")] | None = None


SECTION = Section("jobs", JobSection)


def runs_steps(config: Config, *, is_shared: bool) -> bool:
    """Tell whether this process runs the steps of jobs. Only a shared database has other processes."""
    return SECTION.of(config).here or not (config.serves and is_shared)
