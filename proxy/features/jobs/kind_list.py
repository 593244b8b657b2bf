"""The kinds of jobs whose steps are spoken, as one worker has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from proxy.feature import House
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import JobKind
from proxy.features.jobs.core.records import Kind
from proxy.features.jobs.kinds.batch.kind import LineJobs
from proxy.features.jobs.kinds.conversion.kind import RecordingJobs
from proxy.features.jobs.kinds.conversion.long_decoder import LongDecoder
from proxy.features.jobs.kinds.speech.kind import TextJobs


class OpenKinds(NamedTuple):
    """The kinds by their names, and what they share with what makes jobs of them."""

    by_name: Mapping[Kind, JobKind]
    decoder: LongDecoder


@asynccontextmanager
async def open_kinds(house: House) -> AsyncIterator[OpenKinds]:
    files = JobFiles(house.store, house.vault)
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
