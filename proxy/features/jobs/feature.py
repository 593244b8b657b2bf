"""The feature jobs, as the list of all has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.feature import Feature, House, Opened
from proxy.features.jobs.batches.uploads import TABLE as FILES_TABLE
from proxy.features.jobs.records import TABLES, StepRows
from proxy.features.jobs.training.records import TABLE as TRAININGS
from proxy.storage.tables import Table


@asynccontextmanager
async def _open(house: House) -> AsyncIterator[Opened]:
    from proxy.audio.recordings.long_decoder import open_long_decoder
    from proxy.features.jobs.wiring import OpenJobs

    async with open_long_decoder() as long_decoder, _engines_elsewhere(house):
        jobs = OpenJobs(house, long_decoder)
        yield Opened(
            at=jobs.at,
            wishes=jobs.wishes,
            alone=jobs.alone,
            memories=jobs.memories,
            files=jobs.voice_files,
            steps=StepRows(house.store),
        )


@asynccontextmanager
async def _engines_elsewhere(house: House) -> AsyncIterator[None]:
    """Tell servers, or ask workers, what engines have. A command has none, and SQLite no workers."""
    from proxy.features.jobs.elsewhere import EVERY_S, EnginesElsewhere
    from proxy.telemetry.background import RepeatingTask

    if house.engines is None or not house.store.is_shared:
        yield
        return
    elsewhere = EnginesElsewhere(house.store, house.engines)
    turn = elsewhere.ask if house.config_at_start.serves else elsewhere.tell
    repeated = RepeatingTask("engines of workers", turn, EVERY_S, house.metrics)
    try:
        yield
    finally:
        await repeated.close()


_TABLES = (*TABLES, FILES_TABLE, TRAININGS, Table("introductions", key=("engine",)))
FEATURE = Feature("jobs", _open, tables=_TABLES)
