"""The kinds of jobs, wired: what works on each kind's steps in one worker, and what makes its jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from proxy.feature import House
from proxy.features.jobs.batches.kind import LineJobs
from proxy.features.jobs.conversions.kind import RecordingJobs
from proxy.features.jobs.conversions.long_decoder import LongDecoder
from proxy.features.jobs.elsewhere import EVERY_S, EnginesElsewhere
from proxy.features.jobs.kept import JobFiles
from proxy.features.jobs.kinds import JobKind
from proxy.features.jobs.records import Kind
from proxy.features.jobs.texts import TextJobs
from proxy.telemetry.background import RepeatingTask


class OpenKinds(NamedTuple):
    """The kinds by their names, and what they share with what makes jobs of them."""

    by_name: Mapping[Kind, JobKind]
    decoder: LongDecoder


@asynccontextmanager
async def open_kinds(house: House, files: JobFiles) -> AsyncIterator[OpenKinds]:
    decoder = LongDecoder()
    by_name: Mapping[Kind, JobKind] = {
        "speech": TextJobs(house.vault, files),
        "batch": LineJobs(files),
        "conversion": RecordingJobs(house.vault, files, decoder, house.grants, house.ledger),
    }
    try:
        yield OpenKinds(by_name, decoder)
    finally:
        await decoder.close()


@asynccontextmanager
async def open_elsewhere(house: House) -> AsyncIterator[None]:
    """Tell servers, or ask workers, what engines have. A command has none, and SQLite no workers."""
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
