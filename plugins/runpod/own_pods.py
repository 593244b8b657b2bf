"""The pods of one deployment: find them by name, create them within the caps, and end them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from plugins.runpod.api import Api, Sleep
from plugins.runpod.cloud import Cloud, Pod
from plugins.runpod.jobs import Jobs
from plugins.runpod.reaper import BROKEN, is_ours, pod_name
from plugins.runpod.settings import PodSettings, RunpodSettings
from speech_engine import Context, EngineError, EngineFailed
from speech_engine.runner import NotBegun

TOKEN_VARIABLE = "VOXGATE_TOKEN"
_STARTING = frozenset({"PROVISIONING", "STARTING"})
_PORT = 8000
_RETRY_AFTER_S = 60
_NO_POD = "No pod may be made now: a cap is reached, or no GPU of the list has a price."
_CHOICE_S = 15.0
_SEARCH_S = 8.0
_RUNNING_CACHED_S = 30.0
_STARTING_CACHED_S = 5.0


class _CachedPod(NamedTuple):
    until: float
    pod: Pod


class OwnPods:
    """The pods of one deployment. A pod gets work only if it lives `needed_life_s` longer.

    `now` returns seconds since 1970.
    """

    def __init__(
        self,
        settings: RunpodSettings,
        pods: PodSettings,
        context: Context,
        sleep: Sleep,
        now: Callable[[], float],
        needed_life_s: float,
    ) -> None:
        self.cloud = Cloud(Api(settings.management_url, settings.api_key, context, sleep))
        self._settings = settings
        self._pods = pods
        self._context = context
        self._log = context.log
        self._sleep = sleep
        self._now = now
        self._needed_life_s = needed_life_s
        self._recent_pods: dict[str, _CachedPod] = {}

    async def choose_or_create(self, key: str) -> Pod:
        """Return a pod for the work with this key. Raises NotBegun if no pod was created and none is free."""
        try:
            async with asyncio.timeout(_CHOICE_S):
                choice = await self._choose()
        except NotBegun:
            raise
        except EngineError as error:
            raise NotBegun(error.message, detail=error.detail, retry_after_s=error.retry_after_s) from None
        except TimeoutError:
            raise NotBegun("Runpod did not answer in time.") from None
        return choice if isinstance(choice, Pod) else await self._create_pod(key, choice)

    async def _choose(self) -> Pod | Mapping[str, float]:
        """Choose a running pod with room, else a new pod if the caps allow it, else any of our pods.

        For a new pod, return the price of each GPU that it may have.
        """
        alive = await self.paid_pods()
        ours = [pod for pod in alive if self._lives_long_enough(pod)]
        running = [pod for pod in ours if pod.status == "RUNNING"]
        loads = await asyncio.gather(*(self.count_open_jobs(pod) for pod in running))
        known = [(load, pod.id, pod) for load, pod in zip(loads, running, strict=True) if load is not None]
        load, _, freest = min(known, default=(0, "", None))
        if freest is not None and load < self._pods.jobs_per_pod:
            return freest
        prices = await self._affordable(alive)
        if prices:
            return prices
        if starting := [pod for pod in ours if pod.status in _STARTING]:
            return max(starting, key=lambda pod: (pod.made_at, pod.id))
        if freest is not None:
            return freest
        raise NotBegun(_NO_POD, retry_after_s=_RETRY_AFTER_S)

    async def _affordable(self, alive: Sequence[Pod]) -> dict[str, float]:
        # A pod without a known price counts as the most expensive one.
        spent = sum(self._pods.usd_per_hour if pod.cost is None else pod.cost for pod in alive)
        if len(alive) >= self._pods.most_pods:
            return {}
        known = await self.cloud.prices(is_secure=self._pods.cloud == "SECURE")
        return {
            gpu: known[gpu]
            for gpu in self._pods.gpus
            if gpu in known and spent + known[gpu] <= self._pods.usd_per_hour
        }

    async def _create_pod(self, key: str, prices: Mapping[str, float]) -> Pod:
        """Create a pod with the first available GPU.

        After a lost answer, search for the pod by its name. It is never created twice.
        """
        for gpu in prices:
            try:
                pod = await self.cloud.create(self._pod_order(key, gpu))
            except EngineFailed:
                async with asyncio.timeout(_SEARCH_S):
                    pod = await self.find_pod_of(key)
                if pod is None:
                    raise
            if pod is None:
                continue
            self._log.info("runpod.pod.made", pod=pod.id, gpu=gpu, usd_per_hour=pod.cost)
            return await self._within_caps(pod)
        raise NotBegun("Runpod has no such machine now.", detail="HTTP 400", retry_after_s=_RETRY_AFTER_S)

    async def _within_caps(self, made: Pod) -> Pod:
        """Return the pod, or end it and raise NotBegun if it breaks a cap.

        That happens if another worker created a pod at the same moment, or the price is above the listed one.
        """
        is_stored = False
        try:
            alive = sorted(await self.paid_pods(), key=lambda pod: (pod.made_at, pod.id))
            before = [pod for pod in alive if (pod.made_at, pod.id) < (made.made_at, made.id)]
            costs = [pod.cost or 0.0 for pod in (*before, made)]
            fits = len(before) < self._pods.most_pods and sum(costs) <= self._pods.usd_per_hour
            is_stored = fits and self._lives_long_enough(made)
        finally:
            if not is_stored:
                await asyncio.shield(self.terminate(made.id, "caps"))
        if not is_stored:
            raise NotBegun(_NO_POD, retry_after_s=_RETRY_AFTER_S)
        return made

    def _pod_order(self, key: str, gpu: str) -> dict[str, Any]:
        pods, name = self._pods, self._name_for(key)
        order: dict[str, Any] = {
            "name": name,
            "image": pods.image,
            "gpu": {"id": gpu, "count": 1},
            "cloud": pods.cloud,
            "disk": pods.disk_gb,
            "ports": [f"{_PORT}/http"],
            "env": self._environment(name),
        }
        if pods.volume:
            order["mounts"] = {"network": [{"volumeId": pods.volume, "path": pods.volume_path}]}
        if pods.data_centers:
            order["dataCenterIds"] = list(pods.data_centers)
        if pods.registry:
            order["registry"] = pods.registry
        return order

    def _environment(self, name: str) -> dict[str, str]:
        """Return a pod's environment, by which deploy/runpod/handler.py ends it if this server does not."""
        pods = self._pods
        own = {
            TOKEN_VARIABLE: self._token(name),
            "VOXGATE_PORT": str(_PORT),
            "VOXGATE_STOP_S": str(pods.deadline_s),
            "VOXGATE_IDLE_S": str(pods.idle_s),
        }
        key = self._settings.stop_key
        return pods.env | own | ({"VOXGATE_STOP_KEY": key} if key else {})

    async def find_pod_of(self, key: str) -> Pod | None:
        name = self._name_for(key)
        alive = [pod for pod in await self.paid_pods() if pod.name == name]
        return min(alive, key=lambda pod: (pod.made_at, pod.id)) if alive else None

    async def read_pod(self, id_: str) -> Pod | None:
        """Return a pod, from a cache of a few seconds, because Runpod allows few requests a minute."""
        now = self._now()
        if (recent := self._recent_pods.get(id_)) is not None and now < recent.until:
            return recent.pod
        pod = await self.cloud.pod(id_)
        self._recent_pods.pop(id_, None)
        if pod is not None:
            cached_s = _RUNNING_CACHED_S if pod.status == "RUNNING" else _STARTING_CACHED_S
            self._recent_pods[id_] = _CachedPod(now + cached_s, pod)
        return pod

    async def paid_pods(self) -> list[Pod]:
        """Return the pods of this deployment that cost money."""
        return [
            pod
            for pod in await self.cloud.pods()
            if pod.status != "TERMINATED"
            and (pod.status not in BROKEN or pod.cost)
            and is_ours(pod.name, self._pods.deployment)
        ]

    def _lives_long_enough(self, pod: Pod) -> bool:
        return self._now() + self._needed_life_s <= pod.made_at + self._pods.deadline_s

    async def count_open_jobs(self, pod: Pod) -> int | None:
        try:
            return await self.jobs(pod).count_open()
        except EngineError:
            return None

    async def terminate(self, id_: str, reason: str) -> bool:
        """Terminate a pod and return whether it is gone. If not, it still costs money: log a warning."""
        try:
            await self.cloud.terminate(id_)
        except EngineError as error:
            self._log.warning("runpod.pod.bills_on", pod=id_, reason=reason, error=error.reason)
            return False
        self._log.info("runpod.pod.ended", pod=id_, reason=reason)
        self._recent_pods.pop(id_, None)
        return True

    def jobs(self, pod: Pod) -> Jobs:
        root = self._pods.proxy_url.replace("{pod}", pod.id)
        return Jobs(Api(root, self._token(pod.name), self._context, self._sleep))

    def _name_for(self, key: str) -> str:
        return pod_name(self._pods.deployment, hashlib.sha256(key.encode()).hexdigest())

    def _token(self, name: str) -> str:
        """Return the token for requests to a pod. It is derived from the key and the pod's name, so it is not
        stored, and it does not reveal the key."""
        return hmac.new(self._settings.api_key.encode(), f"pod {name}".encode(), "sha256").hexdigest()

    def forget(self, id_: str) -> None:
        self._recent_pods.pop(id_, None)
