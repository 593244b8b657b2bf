"""A runner with pods of its own: made when there is work, shared while they live, and ended when idle.

Nothing is kept here that a kill could lose. A pod's name says whose it is, its token follows from that name,
and the name of a piece of work says in which pod it is. A pod is given work only when it runs.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from plugins.runpod.api import Api, InDoubt, Sleep
from plugins.runpod.cloud import Cloud, NoMachine, Pod
from plugins.runpod.jobs import MOST_RUN_BYTES, Jobs, JobTold, pieces_of
from plugins.runpod.reaper import ReaperRules, doomed, is_ours, last_needed, pod_name
from plugins.runpod.settings import PodSettings, RunpodSettings
from speech_engine import Context, EngineError, EngineFailed
from speech_engine.runner import (
    OPEN,
    NotBegun,
    RemoteState,
    RemoteWork,
    RunnerHealth,
    RunnerLimits,
)

TOKEN_VARIABLE = "VOXGATE_TOKEN"
_STARTING = frozenset({"PROVISIONING", "STARTING"})
_ALIVE = _STARTING | {"RUNNING"}
_BROKEN = frozenset({"EXITED", "ERROR"})
_PORT = 8000
_KEPT_S = 240.0
"""A pod that did its last work stays for `idle_s`, and its results with it."""
_MARGIN_S = 60
_NO_POD = "No pod may be made now: a cap is reached, or no GPU of the list has a price."
_TIDY_S = 300
_TURN_S = 5.0
_READ_S = 15.0
_FOUND_S = 8.0
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


class _Choice(NamedTuple):
    """A pod that takes the work, or the price of each GPU that a new one may have."""

    pod: Pod | None = None
    prices: Mapping[str, float] = MappingProxyType({})


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
        self._context = context
        self._log = context.log
        self._sleep = sleep
        self._now = now
        self._cloud = Cloud(Api(settings.management_url, settings.api_key, context, sleep))
        self._rules = ReaperRules(self._pods.deployment, self._pods.idle_s, self._pods.deadline_s)
        self._needed: dict[str, float] = {}
        self._paid: dict[str, float] = {}
        self._choosing = asyncio.Lock()
        self._wait_s = self._pods.start_s + settings.queue_s

    def __repr__(self) -> str:
        return f"<PodRunner of {self._pods.deployment}>"

    @property
    def limits(self) -> RunnerLimits:
        billed_s = self._pods.start_s + self._settings.most_s + self._pods.idle_s + _TIDY_S
        return RunnerLimits(
            most_s=self._settings.most_s,
            over_s=self._wait_s + self._settings.most_s + _MARGIN_S,
            most_usd=billed_s / 3600 * self._pods.usd_per_hour,
            most_bytes=MOST_RUN_BYTES,
            kept_s=min(_KEPT_S, self._pods.idle_s),
        )

    async def submit(self, work: RemoteWork) -> str:
        """Find a pod for a piece of work, or make one. The pod gets the work when it runs, see `look`."""
        try:
            async with asyncio.timeout(_TURN_S):
                await self._choosing.acquire()
        except TimeoutError:
            raise NotBegun("Another pod is being made.", retry_after_s=_TURN_S) from None
        try:
            pod = await self._chosen_or_made(work.key)
            self._needed[pod.id] = self._now()
        finally:
            self._choosing.release()
        return str(_Place(pod.id, int(self._now()), work.key))

    async def find(self, key: str) -> str | None:
        """Return the work in the pod that was made for it. In any other pod it was not begun: nobody knew."""
        pod = await self._made_for(key)
        return None if pod is None else str(_Place(pod.id, int(pod.made_at), key))

    async def look(self, name: str, work: RemoteWork, since: int) -> RemoteState:
        place = _Place.named(name)
        pod = await self._cloud.pod(place.pod)
        if pod is None:
            return RemoteState(status="lost", reason="The pod is no more.")
        if pod.status in _BROKEN:
            await self._end(pod.id, "broken")
            return RemoteState(status="lost", reason=f"The pod ended: {pod.status}.")
        if pod.status != "RUNNING":
            if self._now() < pod.made_at + self._pods.start_s:
                return RemoteState(status="queued", usd=0.0)
            await self._end(pod.id, "start")
            return RemoteState(status="lost", reason="The pod did not start in time.")
        told = await self._handed(pod, place, work)
        if told is None:
            return RemoteState(status="lost", usd=0.0, reason="It was not begun in time.")
        return self._state(pod, told, since)

    async def cancel(self, name: str) -> float | None:
        place = _Place.named(name)
        pod = await self._cloud.pod(place.pod)
        if pod is None or pod.status != "RUNNING":
            # Only a pod that runs was given any work.
            return None
        jobs = self._jobs(pod)
        await jobs.cancel(place.key)
        for _ in range(_MOST_LOOKS):
            told = await jobs.status(place.key, then_forget=True)
            if told is None:
                return None
            if told.remote_status not in OPEN:
                return self._usd(pod)
            await self._sleep(_PAUSE_S)
        raise EngineFailed("A pod has not ended a job that was canceled.")

    async def health(self) -> RunnerHealth:
        ours = await self._alive()
        loads = await asyncio.gather(*(self._load(pod) for pod in ours if pod.status == "RUNNING"))
        return RunnerHealth(machines=len(ours), waiting=sum(load or 0 for load in loads))

    async def tidy(self, live: Collection[str]) -> None:
        pods = [pod.seen() for pod in await self._cloud.pods() if is_ours(pod.name, self._pods.deployment)]
        now = self._now()
        in_use = frozenset(_Place.named(name).pod for name in live)
        self._needed = last_needed(self._needed, pods, in_use, now)
        left = 0
        for each in doomed(pods, self._needed, now, self._rules):
            left += not await self._end(each.id, each.reason)
        if left:
            raise EngineFailed(f"{left} pods bill and could not be ended.")

    async def _chosen_or_made(self, key: str) -> Pod:
        try:
            async with asyncio.timeout(_READ_S):
                choice = await self._choice()
        except NotBegun:
            raise
        except EngineError as error:
            raise NotBegun(error.message, detail=error.detail, retry_after_s=error.retry_after_s) from None
        except TimeoutError:
            raise NotBegun("Runpod did not answer in time.") from None
        return choice.pod or await self._made(key, choice.prices)

    async def _choice(self) -> _Choice:
        """Choose a pod that runs and has room; else a new one, if no cap forbids it; else any of ours."""
        ours = [pod for pod in await self._alive() if self._lasts(pod)]
        running = [pod for pod in ours if pod.status == "RUNNING"]
        loads = await asyncio.gather(*(self._load(pod) for pod in running))
        known = [(load, pod.id, pod) for load, pod in zip(loads, running, strict=True) if load is not None]
        load, _, freest = min(known, default=(0, "", None))
        if freest is not None and load < self._pods.jobs_per_pod:
            return _Choice(freest)
        prices = await self._affordable()
        if prices:
            return _Choice(prices=prices)
        if starting := [pod for pod in ours if pod.status in _STARTING]:
            return _Choice(max(starting, key=lambda pod: (pod.made_at, pod.id)))
        if freest is not None:
            return _Choice(freest)
        raise NotBegun(_NO_POD, retry_after_s=_MARGIN_S)

    async def _affordable(self) -> dict[str, float]:
        """Return the prices of the GPUs that a further pod may have, in the order of the settings."""
        alive = await self._alive()
        # A pod whose price is not known counts as the dearest.
        spent = sum(self._pods.usd_per_hour if pod.cost is None else pod.cost for pod in alive)
        if len(alive) >= self._pods.most_pods:
            return {}
        known = await self._cloud.prices(is_secure=self._pods.cloud == "SECURE")
        return {
            gpu: known[gpu]
            for gpu in self._pods.gpus
            if gpu in known and spent + known[gpu] <= self._pods.usd_per_hour
        }

    async def _made(self, key: str, prices: Mapping[str, float]) -> Pod:
        """Make a pod with the first GPU that is there. After a lost answer, it is looked for by its name, and
        never made again."""
        refused: EngineError = NoMachine("No GPU of the list is there.")
        for gpu in prices:
            try:
                pod = await self._cloud.create(self._order(key, gpu))
            except NoMachine as error:
                refused = error
                continue
            except InDoubt:
                async with asyncio.timeout(_FOUND_S):
                    found = await self._made_for(key)
                if found is None:
                    raise
                pod = found
            self._log.info("runpod.pod.made", pod=pod.id, gpu=gpu, usd_per_hour=pod.cost)
            return await self._within_caps(pod)
        raise NotBegun(refused.message, detail=refused.detail, retry_after_s=_MARGIN_S)

    async def _within_caps(self, made: Pod) -> Pod:
        """Return the pod. If another worker has made one at the same moment, or it is dearer than it was said
        to be, the later one of them is ended at once."""
        is_kept = False
        try:
            alive = sorted(await self._alive(), key=lambda pod: (pod.made_at, pod.id))
            before = [pod for pod in alive if (pod.made_at, pod.id) < (made.made_at, made.id)]
            costs = [pod.cost or 0.0 for pod in (*before, made)]
            fits = len(before) < self._pods.most_pods and sum(costs) <= self._pods.usd_per_hour
            is_kept = fits and self._lasts(made)
        finally:
            if not is_kept:
                await asyncio.shield(self._end(made.id, "caps"))
        if not is_kept:
            raise NotBegun(_NO_POD, retry_after_s=_MARGIN_S)
        return made

    def _order(self, key: str, gpu: str) -> dict[str, Any]:
        at, name = self._pods, self._name_for(key)
        order: dict[str, Any] = {
            "name": name,
            "image": at.image,
            "gpu": {"id": gpu, "count": 1},
            "cloud": at.cloud,
            "disk": at.disk_gb,
            "ports": [f"{_PORT}/http"],
            "env": self._environment(name),
        }
        if at.volume:
            order["mounts"] = {"network": [{"volumeId": at.volume, "path": at.volume_path}]}
        if at.data_centers:
            order["dataCenterIds"] = list(at.data_centers)
        if at.registry:
            order["registry"] = at.registry
        return order

    def _environment(self, name: str) -> dict[str, str]:
        """Return what the far end in a pod must know: see deploy/runpod/handler.py. It ends itself, too, in
        case that nobody is left here."""
        at = self._pods
        told = {
            TOKEN_VARIABLE: self._token(name),
            "VOXGATE_PORT": str(_PORT),
            "VOXGATE_STOP_S": str(at.deadline_s),
            "VOXGATE_IDLE_S": str(at.idle_s),
        }
        key = self._settings.stop_key
        return told | ({"VOXGATE_STOP_KEY": key} if key else {})

    async def _handed(self, pod: Pod, place: _Place, work: RemoteWork) -> JobTold | None:
        """Return the job in its pod, which is given the work if it does not have it yet."""
        jobs = self._jobs(pod)
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

    def _state(self, pod: Pod, told: JobTold, since: int) -> RemoteState:
        status = told.remote_status
        if status in OPEN:
            return RemoteState(status=status)
        usd = self._usd(pod)
        if status != "done":
            return RemoteState(status=status, usd=usd, reason=f"The pod says {told.status}.")
        try:
            return RemoteState(status="done", pieces=pieces_of(told.output, since), usd=usd)
        except EngineFailed as error:
            return RemoteState(status="failed", usd=usd, reason=error.message)

    def _usd(self, pod: Pod) -> float | None:
        """Return what a pod has cost since its last work was paid for. The first work pays for the start and
        for the idle time at the end, too, so all together pay for all. A new process begins anew: some is
        then paid for twice, and nothing never."""
        if pod.cost is None:
            return None
        now, paid = self._now(), self._paid.get(pod.id)
        self._paid[pod.id] = now
        billed_s = now - pod.made_at + self._pods.idle_s if paid is None else now - paid
        return min(billed_s / 3600 * pod.cost, self.limits.most_usd)

    async def _made_for(self, key: str) -> Pod | None:
        name = self._name_for(key)
        alive = [pod for pod in await self._alive() if pod.name == name]
        return min(alive, key=lambda pod: (pod.made_at, pod.id)) if alive else None

    async def _alive(self) -> list[Pod]:
        """Return the pods of this deployment that bill for a GPU."""
        return [
            pod
            for pod in await self._cloud.pods()
            if pod.status != "TERMINATED"
            and pod.status not in _BROKEN
            and is_ours(pod.name, self._pods.deployment)
        ]

    def _lasts(self, pod: Pod) -> bool:
        """Tell whether work that begins now ends before the pod must."""
        return self._now() + self._wait_s + self._settings.most_s <= pod.made_at + self._pods.deadline_s

    async def _load(self, pod: Pod) -> int | None:
        """Return how many jobs a pod has, None if it does not say."""
        try:
            return await self._jobs(pod).load()
        except EngineError:
            return None

    async def _end(self, id_: str, reason: str) -> bool:
        """Terminate a pod, and tell whether it is gone. If not, somebody has to look: it bills on."""
        try:
            await self._cloud.terminate(id_)
        except EngineError as error:
            self._log.warning("runpod.pod.bills_on", pod=id_, reason=reason, error=error.reason)
            return False
        self._log.info("runpod.pod.ended", pod=id_, reason=reason)
        self._needed.pop(id_, None)
        self._paid.pop(id_, None)
        return True

    def _jobs(self, pod: Pod) -> Jobs:
        root = self._pods.proxy_url.replace("{pod}", pod.id)
        return Jobs(Api(root, self._token(pod.name), self._context, self._sleep))

    def _name_for(self, key: str) -> str:
        return pod_name(self._pods.deployment, hashlib.sha256(key.encode()).hexdigest())

    def _token(self, name: str) -> str:
        """Return what a pod's callers must show. It follows from the key and the pod's name, so nobody keeps
        it; and it tells nothing of the key."""
        return hmac.new(self._settings.api_key.encode(), f"pod {name}".encode(), "sha256").hexdigest()
