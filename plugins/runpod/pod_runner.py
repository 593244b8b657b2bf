"""A runner with its own pods: created for work, shared by several pieces of work, and ended when idle.

No state here is lost by a kill. A pod's name tells its deployment, its token follows from that name, and the
name of a piece of work contains its pod. A pod gets work only when it is running.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec

from plugins.runpod.api import Sleep
from plugins.runpod.cloud import Pod
from plugins.runpod.jobs import MOST_RUN_BYTES, JobStatus, finished_state, most_result_bytes
from plugins.runpod.own_pods import OwnPods
from plugins.runpod.reaper import BROKEN, is_ours, last_needed, to_terminate
from plugins.runpod.serverless import ServerlessRunner
from plugins.runpod.settings import SWEEP_S, TIDY_S, PodSettings, RunpodSettings
from speech_engine import Context, EngineError, EngineFailed
from speech_engine.runner import (
    OPEN,
    NotBegun,
    RemoteState,
    RemoteWork,
    RunnerHealth,
    RunnerLimits,
)

_CACHED_S = 240.0
"""After its last work a pod stays for `idle_s`, and so do its results."""
_MARGIN_S = 60
_CHOICE_TURN_S = 5.0


class _WorkName(NamedTuple):
    """The name of a piece of work: its pod, when it was submitted, and its key."""

    pod: str
    submitted_at: int
    key: str

    def __str__(self) -> str:
        return f"{self.pod}/{self.submitted_at}/{self.key}"

    @classmethod
    def parse(cls, name: str) -> _WorkName:
        pod, _, rest = name.partition("/")
        at, _, key = rest.partition("/")
        return cls(pod, int(at) if at.isdigit() else 0, key)


class _Paid(NamedTuple):
    """The time until which a pod is paid for, and the price of each work by its key."""

    until: float
    usd: dict[str, float]


class PodRunner:
    """A runner that works in pods. `now` returns seconds since 1970."""

    def __init__(
        self,
        settings: RunpodSettings,
        context: Context,
        sleep: Sleep = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        assert settings.pods is not None
        self._settings = settings
        self._pods: PodSettings = settings.pods
        self._now = now
        self._last_needed_at: dict[str, float] = {}
        self._paid: dict[str, _Paid] = {}
        self._choosing = asyncio.Lock()
        self._wait_s = self._pods.start_s + settings.queue_s
        self._own_pods = OwnPods(settings, self._pods, context, sleep, now, self._wait_s + settings.most_s)

    @property
    def limits(self) -> RunnerLimits:
        return RunnerLimits(
            most_s=self._settings.most_s,
            over_s=self._wait_s + self._settings.most_s + _MARGIN_S,
            most_usd=self._settings.most_usd,
            most_bytes=MOST_RUN_BYTES,
            kept_s=min(_CACHED_S, self._pods.idle_s),
            stays_s=self._pods.deadline_s + TIDY_S,
            idle_s=self._pods.idle_s,
        )

    async def submit(self, work: RemoteWork) -> str:
        """Find or create a pod for the work. `look` hands the work over once the pod is running."""
        try:
            async with asyncio.timeout(_CHOICE_TURN_S):
                await self._choosing.acquire()
        except TimeoutError:
            raise NotBegun("Another pod is being made.", retry_after_s=_CHOICE_TURN_S) from None
        try:
            pod = await self._own_pods.choose_or_create(work.key)
            self._last_needed_at[pod.id] = self._now()
        finally:
            self._choosing.release()
        return str(_WorkName(pod.id, int(self._now()), work.key))

    async def find(self, key: str) -> str | None:
        """Return the name of the work in the pod that was created for it, or None.

        In another pod the work was not begun, because its name was not returned yet.
        """
        pod = await self._own_pods.find_pod_of(key)
        return None if pod is None else str(_WorkName(pod.id, int(pod.made_at), key))

    async def look(self, name: str, work: RemoteWork, since: int) -> RemoteState:
        work_name = _WorkName.parse(name)
        pod = await self._own_pods.read_pod(work_name.pod)
        if pod is None:
            return RemoteState(status="lost", reason="The pod is no more.")
        if pod.status in BROKEN:
            await self._own_pods.terminate(pod.id, "broken")
            return RemoteState(status="lost", reason=f"The pod ended: {pod.status}.")
        if pod.status != "RUNNING":
            if self._now() < pod.made_at + self._pods.start_s:
                return RemoteState(status="queued", usd=0.0)
            await self._own_pods.terminate(pod.id, "start")
            return RemoteState(status="lost", reason="The pod did not start in time.")
        try:
            job = await self._job_in_pod(pod, work_name, work)
        except EngineError:
            # The pod may have ended.
            self._own_pods.forget(pod.id)
            raise
        if job is None:
            return RemoteState(status="lost", usd=0.0, reason="It was not begun in time.")
        if job.remote_status in OPEN:
            return RemoteState(status=job.remote_status)
        usd = self._usd(pod, work_name.key)
        if job.remote_status != "done":
            return RemoteState(status=job.remote_status, usd=usd, reason=f"The pod says {job.status}.")
        return finished_state(job.output, since, usd)

    async def cancel(self, name: str) -> float | None:
        work_name = _WorkName.parse(name)
        pod = await self._own_pods.cloud.pod(work_name.pod)
        if pod is None or pod.status != "RUNNING":
            # Only a running pod has work.
            return None
        job = await self._own_pods.jobs(pod).cancel(work_name.key, "A pod")
        return None if job is None else self._usd(pod, work_name.key)

    async def health(self) -> RunnerHealth:
        ours = await self._own_pods.paid_pods()
        loads = await asyncio.gather(
            *(self._own_pods.count_open_jobs(pod) for pod in ours if pod.status == "RUNNING")
        )
        return RunnerHealth(machines=len(ours), waiting=sum(load or 0 for load in loads))

    async def tidy(self, live: Mapping[str, float]) -> None:
        began = self._now()
        every = await self._own_pods.cloud.pods()
        pods = [pod for pod in every if is_ours(pod.name, self._pods.deployment)]
        now = self._now()
        used: dict[str, float] = {}
        for name, over_s in live.items():
            pod = _WorkName.parse(name).pod
            used[pod] = max(used.get(pod, 0.0), began - over_s)
        self._last_needed_at = last_needed(self._last_needed_at, pods, used)
        going = to_terminate(pods, self._last_needed_at, now, self._pods)
        are_gone = await asyncio.gather(
            *(self._own_pods.terminate(id_, reason) for id_, reason in going.items())
        )
        if left := are_gone.count(False):
            raise EngineFailed(f"{left} pods bill and could not be ended.")

    async def _job_in_pod(self, pod: Pod, work_name: _WorkName, work: RemoteWork) -> JobStatus | None:
        """Return the job in its pod. Hand the work over if the pod does not have it yet."""
        jobs, most_bytes = self._own_pods.jobs(pod), most_result_bytes(work)
        if (job := await jobs.status(work_name.key, most_bytes)) is not None:
            return job
        if self._now() >= work_name.submitted_at + self._wait_s:
            return None
        policy = {"executionTimeout": round(min(work.most_s, self._settings.most_s) * 1000)}
        # A pod begins each key only once, so the next `look` may safely send the work again.
        await jobs.run(msgspec.json.encode(work), policy, is_safe=True)
        if (job := await jobs.status(work_name.key, most_bytes)) is None:
            raise EngineFailed("A pod does not know what it has just been given.")
        return job

    def _usd(self, pod: Pod, key: str) -> float | None:
        """Return the price of a work: the pod's time since the end of the last paid work.

        The first work also pays for the start and for the idle time at the end, so that all time is paid for.
        A new process begins again, so some time may be paid for twice.
        """
        if pod.cost is None:
            return None
        now, longest_s = self._now(), self._pods.deadline_s + TIDY_S
        self._paid = {id_: paid for id_, paid in self._paid.items() if now - paid.until < longest_s}
        paid = self._paid.get(pod.id, _Paid(pod.made_at - self._pods.idle_s - SWEEP_S, {}))
        if key not in paid.usd:
            billed_s = now - paid.until
            paid.usd[key] = min(billed_s / 3600 * pod.cost, self.limits.most_usd)
            self._paid[pod.id] = paid._replace(until=now)
        return paid.usd[key]


@asynccontextmanager
async def create(
    _name: str, settings: RunpodSettings, context: Context
) -> AsyncIterator[ServerlessRunner | PodRunner]:
    yield ServerlessRunner(settings, context) if settings.pods is None else PodRunner(settings, context)
