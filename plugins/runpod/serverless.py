"""A runner for an endpoint of Runpod's queue. Runpod starts and ends its workers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from plugins.runpod.api import Api, Sleep
from plugins.runpod.jobs import MOST_RUN_BYTES, Jobs, JobStatus, finished_state, most_result_bytes
from plugins.runpod.settings import RunpodSettings
from speech_engine import Context, EngineFailed
from speech_engine.runner import CannotTell, NotBegun, RemoteState, RemoteWork, RunnerHealth, RunnerLimits

STORED_S = 600
"""The shortest time for which a result stays, if its job began within `queue_s` and `start_s`. The `ttl` of a
job ends that long after the longest wait and the longest run. Runpod then removes the result, too."""
_STAYS_S = 1800
"""Runpod keeps a result for thirty minutes after the end of its job, if the `ttl` does not end earlier."""
_MARGIN_S = 60
_LEAST_PIECE_BYTES = 256 * 1024
_LEAST_RUN_S = 5
"""The shortest `executionTimeout` that Runpod takes."""


class ServerlessRunner:
    """A runner that works at an endpoint.

    A job's name begins with the endpoint, because the setting may change before the job ends.
    """

    def __init__(self, settings: RunpodSettings, context: Context, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self._context = context
        self._sleep = sleep
        self._life_s = settings.queue_s + settings.start_s + settings.most_s + STORED_S

    @property
    def limits(self) -> RunnerLimits:
        settings = self._settings
        return RunnerLimits(
            most_s=settings.most_s,
            over_s=self._life_s + _MARGIN_S,
            most_usd=settings.most_usd,
            most_bytes=MOST_RUN_BYTES,
            kept_s=STORED_S,
            stays_s=_STAYS_S,
        )

    async def submit(self, work: RemoteWork) -> str:
        body = msgspec.json.encode(work)
        if len(body) > MOST_RUN_BYTES:
            raise NotBegun("Runpod takes no work of more than 10 MB.")
        run_s = max(_LEAST_RUN_S, min(work.most_s, self._settings.most_s))
        policy = {"executionTimeout": round(run_s * 1000), "ttl": self._life_s * 1000}
        endpoint = self._settings.endpoint_id
        return f"{endpoint}/{await self._jobs(endpoint).run(body, policy)}"

    async def find(self, key: str) -> str | None:
        del key
        raise CannotTell("Runpod's queue has no list of jobs by what they were asked for.")

    async def look(self, name: str, work: RemoteWork, since: int) -> RemoteState:
        jobs, id_ = self._jobs_and_id(name)
        most_bytes = most_result_bytes(work)
        job = await jobs.status(id_, most_bytes)
        if job is None:
            return RemoteState(status="lost", reason="Runpod knows no such job.")
        usd = self.usd(job)
        if job.remote_status != "done":
            return RemoteState(status=job.remote_status, usd=usd, reason=f"Runpod says {job.status}.")
        # Without `return_aggregate_stream`, a worker's pieces are only in the stream, and the stream gives
        # each piece once.
        output: Any = await self._drained(jobs, job.id, most_bytes) if job.output is None else job.output
        return finished_state(output, since, usd)

    async def cancel(self, name: str) -> float | None:
        jobs, id_ = self._jobs_and_id(name)
        job = await jobs.cancel(id_, "Runpod")
        return None if job is None else self.usd(job)

    async def health(self) -> RunnerHealth:
        return await self._jobs(self._settings.endpoint_id).health()

    async def tidy(self, live: Mapping[str, float]) -> None:
        """Runpod ends idle workers itself."""

    def usd(self, job: JobStatus) -> float | None:
        """Return the price of a job: the start of its worker, its own time, and the idle time after it.

        The job's wait counts as the start, up to the longest time that a start takes. None: the price is not
        known yet.
        """
        if job.execution_time is None:
            return 0.0 if job.remote_status == "queued" else None
        start_s = min((job.delay_time or 0.0) / 1000, self._settings.start_s)
        return (start_s + job.execution_time / 1000 + self._settings.idle_s) * self._settings.usd_per_second

    async def _drained(self, jobs: Jobs, id_: str, most_bytes: int) -> list[Any]:
        outputs, left_bytes = list[Any](), most_bytes
        while left_bytes > 0:
            if not (new := await jobs.stream(id_)):
                return outputs
            outputs += new
            left_bytes -= max(_LEAST_PIECE_BYTES, len(msgspec.json.encode(new)))
        raise EngineFailed("The worker's answer has no end.")

    def _jobs_and_id(self, name: str) -> tuple[Jobs, str]:
        endpoint, _, id_ = name.partition("/")
        return self._jobs(endpoint), id_

    def _jobs(self, endpoint: str) -> Jobs:
        root = f"{self._settings.jobs_url.rstrip('/')}/{endpoint}"
        return Jobs(Api(root, self._settings.api_key, self._context, self._sleep))
