"""A runner at an endpoint of Runpod's queue, whose workers start and end by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from plugins.runpod.api import Api, Sleep
from plugins.runpod.jobs import MOST_RUN_BYTES, Jobs, JobTold, pieces_of
from plugins.runpod.settings import RunpodSettings
from speech_engine import Context, EngineFailed
from speech_engine.runner import (
    OPEN,
    CannotTell,
    NotBegun,
    RemoteState,
    RemoteWork,
    RunnerHealth,
    RunnerLimits,
)

KEPT_S = 600
"""How long a result can be had at least. Runpod says thirty minutes, less what a late start has taken of the
job's own life."""
_STAYS_S = 1800
"""Runpod's thirty minutes, at the most."""
_MARGIN_S = 60
_PAUSE_S = 1.0
_MOST_LOOKS = 5
_LEAST_RUN_S = 5


class ServerlessRunner:
    """Work at an endpoint. A job's name has the endpoint in it, which a later configuration may change."""

    def __init__(self, settings: RunpodSettings, context: Context, sleep: Sleep = asyncio.sleep) -> None:
        self._settings = settings
        self._context = context
        self._sleep = sleep
        self._life_s = settings.queue_s + settings.start_s + settings.most_s + KEPT_S

    def __repr__(self) -> str:
        return f"<ServerlessRunner at {self._settings.endpoint_id}>"

    @property
    def limits(self) -> RunnerLimits:
        at = self._settings
        return RunnerLimits(
            most_s=at.most_s,
            over_s=self._life_s + _MARGIN_S,
            most_usd=at.most_usd,
            most_bytes=MOST_RUN_BYTES,
            kept_s=KEPT_S,
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
        del work
        jobs, id_ = self._named(name)
        told = await jobs.status(id_)
        if told is None:
            return RemoteState(status="lost", reason="Runpod knows no such job.")
        if told.remote_status == "done":
            return await self._done(jobs, told, since)
        return RemoteState(
            status=told.remote_status, usd=self.usd(told), reason=f"Runpod says {told.status}."
        )

    async def cancel(self, name: str) -> float | None:
        jobs, id_ = self._named(name)
        await jobs.cancel(id_)
        for _ in range(_MOST_LOOKS):
            told = await jobs.status(id_, then_forget=True)
            if told is None:
                return None
            if told.remote_status not in OPEN:
                return self.usd(told)
            await self._sleep(_PAUSE_S)
        raise EngineFailed("Runpod has not ended a job that was canceled.")

    async def health(self) -> RunnerHealth:
        return await self._jobs(self._settings.endpoint_id).health()

    async def tidy(self, live: Mapping[str, float]) -> None:
        """Nothing bills without work: workers end by themselves."""

    def usd(self, told: JobTold) -> float | None:
        """Return what a job has cost: its time, the start of its worker, and the time that a worker idles
        after it. A wait is counted as such a start, and never for longer than one takes."""
        if told.execution_time is None:
            return 0.0 if told.remote_status == "queued" else None
        start_s = min((told.delay_time or 0.0) / 1000, self._settings.start_s)
        return (start_s + told.execution_time / 1000 + self._settings.idle_s) * self._settings.usd_per_second

    async def _done(self, jobs: Jobs, told: JobTold, since: int) -> RemoteState:
        usd = self.usd(told)
        # A worker that streams without `return_aggregate_stream` has its pieces only in the stream, once.
        output: Any = await self._drained(jobs, told.id) if told.output is None else told.output
        try:
            return RemoteState(status="done", pieces=pieces_of(output, since), usd=usd)
        except EngineFailed as error:
            return RemoteState(status="failed", usd=usd, reason=error.message)

    async def _drained(self, jobs: Jobs, id_: str) -> list[Any]:
        every: list[Any] = []
        while some := await jobs.stream(id_):
            every += some
        return every

    def _named(self, name: str) -> tuple[Jobs, str]:
        endpoint, _, id_ = name.partition("/")
        return self._jobs(endpoint), id_

    def _jobs(self, endpoint: str) -> Jobs:
        root = f"{self._settings.jobs_url.rstrip('/')}/{endpoint}"
        return Jobs(Api(root, self._settings.api_key, self._context, self._sleep))
