"""All kinds of jobs, by their names."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from proxy.features.jobs.core import records
from proxy.features.jobs.core.bodies import Progress, ShownJob, shown_job
from proxy.features.jobs.core.files import JobFiles
from proxy.features.jobs.core.kind import JobKind
from proxy.features.jobs.core.records import Job, Kind

_MOST_NAME_BYTES = 100


class _Named(msgspec.Struct, frozen=True):
    kind: msgspec.Raw = msgspec.Raw(b"")


_decode = msgspec.json.Decoder(_Named).decode


class JobKinds:
    """The kinds of a worker or of a command. The first one is meant where a request names none."""

    def __init__(self, files: JobFiles, kinds: Sequence[JobKind]) -> None:
        self.all = kinds
        self.files = files
        self.usual = kinds[0]
        self._by_name: dict[Kind, JobKind] = {kind.name: kind for kind in kinds}
        self._by_json = {msgspec.json.encode(kind.name): kind for kind in kinds if kind.body is not None}
        self.of_form = next(kind for kind in kinds if kind.body is None)

    def of(self, job: Job) -> JobKind:
        return self._by_name[job.kind]

    def named_in(self, body: bytes) -> JobKind:
        """Return the kind of a JSON body. It reads every byte, so run it in a thread."""
        try:
            name = _decode(body).kind
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self.usual  # it says what is wrong
        return self._by_json.get(bytes(memoryview(name)[:_MOST_NAME_BYTES]), self.usual)

    async def shown(self, jobs: Sequence[Job]) -> list[ShownJob]:
        progress = dict[str, Progress]()
        for kind in self.all:
            if own := [job for job in jobs if self.of(job) is kind]:
                progress |= await kind.progress(own)
        canceled = [job.id for job in jobs if job.state == "canceled"]
        settling = await records.under_way(self.files.store, canceled)
        for id_ in settling:
            progress[id_] = progress[id_]._replace(is_settling=True)
        return [shown_job(job, progress[job.id]) for job in jobs]

    async def shown_one(self, job: Job) -> ShownJob:
        (shown,) = await self.shown([job])
        return shown
