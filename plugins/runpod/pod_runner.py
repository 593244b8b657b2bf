"""A runner with pods of its own: made when there is work, shared while they live, and ended when idle.

Nothing is kept here that a kill could lose. A pod's name says whose it is, its token follows from that name,
and the name of a piece of work says in which pod it is. A pod is given work only when it runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from plugins.runpod.api import Sleep
from plugins.runpod.cloud import Pod
from plugins.runpod.jobs import MOST_RUN_BYTES, JobTold, pieces_of
from plugins.runpod.own_pods import OwnPods
from plugins.runpod.reaper import BROKEN, ReaperRules, doomed, is_ours, last_needed
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

_KEPT_S = 240.0
"""A pod that did its last work stays for `idle_s`, and its results with it."""
_MARGIN_S = 60
_TURN_S = 5.0
_PAUSE_S = 1.0
_MOST_LOOKS = 5


class _Place(NamedTuple):
    """The name of a piece of work: its pod, when it was submitted, and its key."""

    pod: str
    at: int
    key: str

    def __str__(self) -> str:
        return f"{self.pod}/{self.at}/{self.key}"

    @classmethod
    def named(cls, name: str) -> _Place:
        pod, _, rest = name.partition("/")
        at, _, key = rest.partition("/")
        return cls(pod, int(at) if at.isdigit() else 0, key)


class _Paid(NamedTuple):
    """Until when a pod is paid for, and what each work has cost, by its key: it may be asked for again."""

    until: float
    usd: dict[str, float]


class PodRunner:
    """Work in pods. `now` is the time in seconds since 1970."""

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
        self._sleep = sleep
        self._now = now
        self._rules = ReaperRules(self._pods.deployment, self._pods.idle_s, self._pods.deadline_s)
        self._needed: dict[str, float] = {}
        self._paid: dict[str, _Paid] = {}
        self._choosing = asyncio.Lock()
        self._wait_s = self._pods.start_s + settings.queue_s
        self._own = OwnPods(settings, self._pods, context, sleep, now, self._wait_s + settings.most_s)

    def __repr__(self) -> str:
        return f"<PodRunner of {self._pods.deployment}>"

    @property
    def limits(self) -> RunnerLimits:
        return RunnerLimits(
            most_s=self._settings.most_s,
            over_s=self._wait_s + self._settings.most_s + _MARGIN_S,
            most_usd=self._settings.most_usd,
            most_bytes=MOST_RUN_BYTES,
            kept_s=min(_KEPT_S, self._pods.idle_s),
            stays_s=self._pods.deadline_s + TIDY_S,
            idle_s=self._pods.idle_s,
        )

    async def submit(self, work: RemoteWork) -> str:
        """Find a pod for a piece of work, or make one. The pod gets the work when it runs, see `look`."""
        try:
            async with asyncio.timeout(_TURN_S):
                await self._choosing.acquire()
        except TimeoutError:
            raise NotBegun("Another pod is being made.", retry_after_s=_TURN_S) from None
        try:
            pod = await self._own.chosen_or_made(work.key)
            self._needed[pod.id] = self._now()
        finally:
            self._choosing.release()
        return str(_Place(pod.id, int(self._now()), work.key))

    async def find(self, key: str) -> str | None:
        """Return the work in the pod that was made for it. In any other pod it was not begun: nobody knew."""
        pod = await self._own.made_for(key)
        return None if pod is None else str(_Place(pod.id, int(pod.made_at), key))

    async def look(self, name: str, work: RemoteWork, since: int) -> RemoteState:
        place = _Place.named(name)
        pod = await self._own.recent(place.pod)
        if pod is None:
            return RemoteState(status="lost", reason="The pod is no more.")
        if pod.status in BROKEN:
            await self._own.end(pod.id, "broken")
            return RemoteState(status="lost", reason=f"The pod ended: {pod.status}.")
        if pod.status != "RUNNING":
            if self._now() < pod.made_at + self._pods.start_s:
                return RemoteState(status="queued", usd=0.0)
            await self._own.end(pod.id, "start")
            return RemoteState(status="lost", reason="The pod did not start in time.")
        try:
            told = await self._handed(pod, place, work)
        except EngineError:
            # The pod may be no more.
            self._own.forget(pod.id)
            raise
        if told is None:
            return RemoteState(status="lost", usd=0.0, reason="It was not begun in time.")
        return self._state(pod, place.key, told, since)

    async def cancel(self, name: str) -> float | None:
        place = _Place.named(name)
        pod = await self._own.cloud.pod(place.pod)
        if pod is None or pod.status != "RUNNING":
            # Only a pod that runs was given any work.
            return None
        jobs = self._own.jobs(pod)
        await jobs.cancel(place.key)
        for _ in range(_MOST_LOOKS):
            told = await jobs.status(place.key, then_forget=True)
            if told is None:
                return None
            if told.remote_status not in OPEN:
                return self._usd(pod, place.key)
            await self._sleep(_PAUSE_S)
        raise EngineFailed("A pod has not ended a job that was canceled.")

    async def health(self) -> RunnerHealth:
        ours = await self._own.alive()
        loads = await asyncio.gather(*(self._own.load(pod) for pod in ours if pod.status == "RUNNING"))
        return RunnerHealth(machines=len(ours), waiting=sum(load or 0 for load in loads))

    async def tidy(self, live: Mapping[str, float]) -> None:
        asked = self._now()
        pods = [
            pod.seen() for pod in await self._own.cloud.pods() if is_ours(pod.name, self._pods.deployment)
        ]
        now = self._now()
        used: dict[str, float] = {}
        for name, over_s in live.items():
            pod = _Place.named(name).pod
            used[pod] = max(used.get(pod, 0.0), asked - over_s)
        self._needed = last_needed(self._needed, pods, used)
        going = doomed(pods, self._needed, now, self._rules)
        are_gone = await asyncio.gather(*(self._own.end(each.id, each.reason) for each in going))
        if left := are_gone.count(False):
            raise EngineFailed(f"{left} pods bill and could not be ended.")

    async def _handed(self, pod: Pod, place: _Place, work: RemoteWork) -> JobTold | None:
        """Return the job in its pod, which is given the work if it does not have it yet."""
        jobs = self._own.jobs(pod)
        told = await jobs.status(place.key)
        if told is not None:
            return told
        if self._now() >= place.at + self._wait_s:
            return None
        run_s = min(work.most_s, self._settings.most_s)
        policy = {"executionTimeout": round(run_s * 1000)}
        # The pod begins a key once. So nothing is in doubt here: who looks the next time may ask again.
        await jobs.run(msgspec.json.encode(work), policy, is_safe=True)
        told = await jobs.status(place.key)
        if told is None:
            raise EngineFailed("A pod does not know what it has just been given.")
        return told

    def _state(self, pod: Pod, key: str, told: JobTold, since: int) -> RemoteState:
        status = told.remote_status
        if status in OPEN:
            return RemoteState(status=status)
        usd = self._usd(pod, key)
        if status != "done":
            return RemoteState(status=status, usd=usd, reason=f"The pod says {told.status}.")
        try:
            return RemoteState(status="done", pieces=pieces_of(told.output, since), usd=usd)
        except EngineFailed as error:
            return RemoteState(status="failed", usd=usd, reason=error.message)

    def _usd(self, pod: Pod, key: str) -> float | None:
        """Return what a work has cost: the pod's time since the last one was paid for. The first work pays
        for the start and for the idle time at the end, too, so all together pay for all. A new process
        begins anew: some is then paid for twice, and nothing never."""
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
