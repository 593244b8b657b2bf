"""The feature jobs, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, Opened
from proxy.features.jobs.batches.uploads import TABLE as FILES_TABLE
from proxy.features.jobs.check import trainings
from proxy.features.jobs.records import TABLES, StepRows
from proxy.features.jobs.training.records import TABLE as TRAININGS


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.features.jobs.kind_list import open_kinds
    from proxy.features.jobs.wiring import OpenJobs, open_elsewhere

    async with open_kinds(house) as kinds, open_elsewhere(house):
        jobs = OpenJobs(house, kinds)
        yield Opened(
            at=jobs.at,
            wishes=jobs.wishes,
            alone=jobs.alone,
            memories=jobs.memories,
            files=jobs.voice_files,
            steps=StepRows(house.store),
            far_trainings=jobs.far_trainings,
        )


# TRAININGS first: its SQL reads jobs, which the next table's SQL deletes.
_TABLES = (TRAININGS, *TABLES, FILES_TABLE)
FEATURE = Feature("jobs", _open, tables=_TABLES, checks=(trainings,))
