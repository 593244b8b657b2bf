"""The pods of an account: made, started, stopped and paid for by the clock."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Annotated, Any, Literal

import msgspec

from fakes.runpod.clock import Clock, iso
from fakes.runpod.jobs_api import Desk
from fakes.runpod.queue import JobQueue
from fakes.runpod.working import Handler, echo

_LEGAL = {
    "PROVISIONING": ("stop", "terminate"),
    "STARTING": ("stop", "terminate"),
    "RUNNING": ("stop", "restart", "terminate"),
    "EXITED": ("start", "terminate"),
    "ERROR": ("start", "terminate"),
    "TERMINATED": (),
}


class Gpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    id: str
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    allowed_cuda_versions: list[str] | None = None
    min_cuda_version: str | None = None


class Cpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    id: str
    vcpu_count: Annotated[int, msgspec.Meta(ge=1)]


class NetworkMount(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    volume_id: str
    path: str


class Persistent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: Annotated[int, msgspec.Meta(ge=10)]
    path: str


class Mounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    network: Annotated[list[NetworkMount], msgspec.Meta(max_length=1)] | None = None
    persistent: Persistent | None = None


class PodOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    image: Annotated[str, msgspec.Meta(min_length=1)]
    gpu: Gpu | None = None
    cpu: Cpu | None = None
    cloud: Literal["SECURE", "COMMUNITY"] = "SECURE"
    disk: Annotated[int, msgspec.Meta(ge=1)] = 20
    env: dict[str, str] = {}
    ports: list[Annotated[str, msgspec.Meta(pattern=r"^\d+/(http|tcp)$")]] = []
    args: str = ""
    registry: str | None = None
    data_center_ids: list[str] | None = None
    template_id: str | None = None
    mounts: Mounts | None = None
    start_ssh: bool = False
    start_jupyter: bool = False
    global_networking: bool = False


class GpuType(msgspec.Struct):
    """A type in the catalog. `stock` is how many pods can still be had of it."""

    id: str
    memory: int
    secure: float
    community: float
    serverless: float
    stock: int = 100


def gpu_types() -> tuple[GpuType, ...]:
    return (
        GpuType("NVIDIA GeForce RTX 4090", 24, 0.44, 0.31, 1.10),
        GpuType("NVIDIA L4", 24, 0.43, 0.39, 0.69),
        GpuType("NVIDIA A100 80GB PCIe", 80, 1.64, 1.19, 2.72),
    )


class Pod(msgspec.Struct, eq=False):
    """A pod. `billed` has the spans that it was paid for; the last one may have no end yet."""

    id: str
    order: PodOrder
    usd_per_hour: float
    created: float
    started: float
    desk: Desk
    ready_s: tuple[float, float]
    billed: list[tuple[float, float | None]]
    ended: Literal["", "EXITED", "ERROR", "TERMINATED"] = ""
    clings: bool = False

    def __repr__(self) -> str:
        return f"<Pod {self.id} {self.order.name}>"

    def status(self, now: float) -> str:
        if self.ended:
            return self.ended
        age, (provisioned_s, running_s) = now - self.started, self.ready_s
        if age < provisioned_s:
            return "PROVISIONING"
        return "STARTING" if age < running_s else "RUNNING"

    def spent(self, now: float) -> float:
        hours = sum((now if end is None else end) - begin for begin, end in self.billed) / 3600
        return hours * self.usd_per_hour

    def described(self, now: float) -> dict[str, Any]:
        status = self.status(now)
        is_billed = bool(self.billed) and self.billed[-1][1] is None
        order = self.order
        return {
            "id": self.id,
            "name": order.name,
            "status": status,
            "actions": list(_LEGAL[status]),
            "image": order.image,
            "gpu": None if order.gpu is None else {"id": order.gpu.id, "count": order.gpu.count},
            "cpu": None if order.cpu is None else {"id": order.cpu.id, "vcpuCount": order.cpu.vcpu_count},
            "cost": self.usd_per_hour if is_billed else 0,
            "dataCenterId": "EU-RO-1",
            "cudaVersion": "12.8",
            "ssh": None,
            "mounts": {},
            "runtime": {"uptimeSeconds": int(now - self.started)} if status == "RUNNING" else None,
            "createdAt": iso(self.created),
            "startedAt": iso(self.started),
            "locked": False,
            "template": None,
        }


class Fleet:
    """All pods. A new one is PROVISIONING, then STARTING, then RUNNING after so many seconds each.

    `handler` works in each container. `breaks_at_start` makes the next pods end in ERROR. `clings` makes
    pods stay although their termination was accepted.
    """

    def __init__(self, clock: Clock, handler: Handler = echo, cpu_usd_per_hour: float = 0.08) -> None:
        self.clock = clock
        self.handler = handler
        self.types = {each.id: each for each in gpu_types()}
        self.pods: dict[str, Pod] = {}
        self.provision_s = 20.0
        self.start_s = 40.0
        self.breaks_at_start = 0
        self.clings = False
        self._cpu_usd_per_hour = cpu_usd_per_hour
        self._numbers = count(1)

    def __repr__(self) -> str:
        return f"<Fleet {len(self.pods)} pods, {len(self.billing)} billing>"

    @property
    def billing(self) -> list[Pod]:
        return [pod for pod in self.pods.values() if pod.billed[-1][1] is None]

    @property
    def spent_usd(self) -> float:
        return sum(pod.spent(self.clock()) for pod in self.pods.values())

    @property
    def starts(self) -> list[tuple[str, dict[str, Any]]]:
        return [start for pod in self.pods.values() for start in pod.desk.queue.starts]

    def create(self, order: PodOrder) -> Pod | None:
        """Make a pod. None: there is no machine with this GPU now."""
        now = self.clock()
        price = self._cpu_usd_per_hour
        if order.gpu is not None:
            kind = self.types[order.gpu.id]
            if kind.stock < order.gpu.count:
                return None
            kind.stock -= order.gpu.count
            price = order.gpu.count * (kind.secure if order.cloud == "SECURE" else kind.community)
        pod = Pod(
            id=f"pod{next(self._numbers)}x7",
            order=order,
            usd_per_hour=price,
            created=now,
            started=now,
            desk=Desk(JobQueue(self.clock, self.handler), has_rates=False, keys=True),
            ready_s=(self.provision_s, self.provision_s + self.start_s),
            billed=[(now, None)],
            clings=self.clings,
        )
        if self.breaks_at_start:
            self.breaks_at_start -= 1
            pod.ended = "ERROR"
        self.pods[pod.id] = pod
        return pod

    def get(self, id_: str) -> Pod | None:
        pod = self.pods.get(id_)
        return None if pod is None or pod.ended == "TERMINATED" else pod

    def act(self, pod: Pod, action: str) -> bool:
        now = self.clock()
        if action not in _LEGAL[pod.status(now)]:
            return False
        if action in ("start", "restart"):
            pod.ended, pod.started = "", now
            if pod.billed[-1][1] is not None:
                pod.billed.append((now, None))
            self._empty(pod)
        elif not (action == "terminate" and pod.clings):
            self._end(pod, "EXITED" if action == "stop" else "TERMINATED")
        return True

    def crash(self, pod: Pod) -> None:
        """End a pod in ERROR. It costs money until it is terminated."""
        pod.ended = "ERROR"
        self._empty(pod)

    def by_name(self, name: str) -> list[Pod]:
        return [pod for pod in self.pods.values() if pod.order.name == name]

    async def close(self) -> None:
        for pod in self.pods.values():
            await pod.desk.queue.close()

    def _end(self, pod: Pod, state: Literal["EXITED", "TERMINATED"]) -> None:
        begin, end = pod.billed[-1]
        if end is None:
            pod.billed[-1] = (begin, self.clock())
        pod.ended = state
        self._empty(pod)

    def _empty(self, pod: Pod) -> None:
        for job in pod.desk.queue.jobs.values():
            pod.desk.queue.lose(job)


def catalog(types: Mapping[str, GpuType], *, with_stock: bool) -> dict[str, Any]:
    def described(kind: GpuType) -> dict[str, Any]:
        prices = {"secure": kind.secure, "community": kind.community, "serverless": kind.serverless}
        shown: dict[str, Any] = {"id": kind.id, "name": kind.id, "memory": kind.memory, "price": prices}
        if with_stock:
            shown["availability"] = "HIGH" if kind.stock > 10 else "LOW" if kind.stock else "NONE"
        return {**shown, "pool": "ADA_24", "maxCount": 8, "dataCenters": ["EU-RO-1"]}

    return {"gpus": [described(kind) for kind in types.values()]}
