"""The management API v2: list, create, read and terminate pods, and read prices."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from plugins.runpod.api import Api, is_temporary, require_status
from speech_engine.errors import EngineError, EngineFailed, EngineUnavailable
from speech_engine.runner import NotBegun

_CREATE_S = 15.0
"""The longest wait for the answer to an order of a pod."""
_TERMINATION_CHECKS = 5
_TERMINATION_PAUSE_S = 1.0


class Pod(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A pod. `cost` is its present price for an hour, or None if Runpod does not say."""

    id: str
    name: str = ""
    status: str = ""
    cost: float | None = None
    created_at: str | None = None

    def __repr__(self) -> str:
        return f"<Pod {self.id} {self.status}>"

    @property
    def made_at(self) -> float:
        """The time when it was created, in seconds since 1970. It is 0 if Runpod's time cannot be read.

        With 0 the pod is terminated too early. Without a limit it would never be terminated, and cost money.
        """
        try:
            made = datetime.fromisoformat(self.created_at or "")
        except ValueError:
            return 0.0
        return made.timestamp() if made.tzinfo else 0.0


class _Pods(msgspec.Struct, frozen=True):
    pods: tuple[Pod, ...]


class _Price(msgspec.Struct, frozen=True):
    secure: float | None = None
    community: float | None = None


class _Gpu(msgspec.Struct, frozen=True):
    id: str
    price: _Price = _Price()


class _Gpus(msgspec.Struct, frozen=True):
    gpus: tuple[_Gpu, ...]


class Cloud:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def pods(self) -> tuple[Pod, ...]:
        """Return all pods of the account, including those of other deployments."""
        return require_status(await self._api.request("GET", "pods"), 200).read(_Pods).pods

    async def pod(self, id_: str) -> Pod | None:
        """Return a pod, or None if it does not exist or was terminated."""
        reply = await self._api.request("GET", f"pods/{id_}")
        if reply.status == 404:
            return None
        pod = require_status(reply, 200).read(Pod)
        return None if pod.status == "TERMINATED" else pod

    async def prices(self, *, is_secure: bool) -> dict[str, float]:
        """Return the price of an hour for each GPU, in the secure cloud or in the community cloud."""
        reply = await self._api.request("GET", "catalog/gpus?include=AVAILABILITY&product=POD")
        price_by_gpu: dict[str, float] = {}
        for gpu in require_status(reply, 200).read(_Gpus).gpus:
            price = gpu.price.secure if is_secure else gpu.price.community
            if price:
                price_by_gpu[gpu.id] = price
        return price_by_gpu

    async def create(self, order: dict[str, Any]) -> Pod | None:
        """Create a pod. Return None if no machine fits the order now.

        Raises NotBegun if no pod was created for another reason. Raises EngineFailed if a pod may exist.
        """
        try:
            reply = await self._api.request("POST", "pods", order, within_s=_CREATE_S)
        except EngineUnavailable as error:
            raise NotBegun("Runpod cannot be reached.", detail=error.reason) from None
        except EngineError as error:
            raise EngineFailed("Runpod's answer was lost.", detail=type(error).__name__) from None
        if reply.status == 400:
            # A 400 may have any reason, and only its message names it. The caller tries the next GPU.
            return None
        refused = reply.refusal()
        # After a status below 400, or a temporary failure other than 429, Runpod may have made a pod.
        if reply.status not in (200, 201):
            if reply.status < 400 or (is_temporary(reply.status) and reply.status != 429):
                raise EngineFailed("Runpod failed while it made a pod.", detail=refused.detail)
            raise NotBegun(refused.message, detail=refused.detail, retry_after_s=refused.retry_after_s)
        try:
            return reply.read(Pod)
        except EngineFailed:
            raise EngineFailed("Runpod made a pod without saying what it is called.") from None

    async def terminate(self, id_: str) -> None:
        """Terminate a pod and wait until it is gone. Raises EngineError if it may still exist."""
        reply = await self._api.request("DELETE", f"pods/{id_}")
        require_status(reply, 200, 204, 404, 409)
        for _ in range(_TERMINATION_CHECKS):
            if await self.pod(id_) is None:
                return
            await self._api.pause(_TERMINATION_PAUSE_S)
        raise EngineFailed("Runpod has not ended a pod that was terminated.")
