"""The jobs API: of an endpoint of Runpod's queue, and of a pod of ours, which serves the same."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from plugins.runpod.api import Api, InDoubt, Said, checked
from plugins.runpod.retrying import is_temporary
from speech_engine.errors import EngineError, EngineFailed, EngineUnavailable
from speech_engine.runner import NotBegun, RemotePiece, RemoteStatus, RunnerHealth

MOST_RUN_BYTES = 9_900_000
"""Runpod takes 10 MB. The rest is for what stands around the work."""
_RUN_S = 30.0
_FORGET_MS = 10_000

_STATUSES: dict[str, RemoteStatus] = {
    "IN_QUEUE": "queued",
    "COMPLETED": "done",
    "FAILED": "failed",
    "TIMED_OUT": "failed",
    "CANCELLED": "canceled",
}


class JobTold(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What /status says. `error` is not read, as it may quote a text."""

    id: str
    status: str
    delay_time: float | None = None
    execution_time: float | None = None
    output: Any = None

    def __repr__(self) -> str:
        return f"<JobTold {self.id} {self.status}>"

    @property
    def remote_status(self) -> RemoteStatus:
        """Its state. One that nobody knows is no end."""
        return _STATUSES.get(self.status, "running")


class _Taken(msgspec.Struct, frozen=True):
    id: str


class _Part(msgspec.Struct, frozen=True):
    output: Any = None

    def __repr__(self) -> str:
        return "<_Part>"


class _Health(msgspec.Struct, frozen=True):
    jobs: dict[str, int] = {}
    workers: dict[str, int] = {}


class Jobs:
    """The jobs below one address."""

    def __init__(self, api: Api) -> None:
        self._api = api

    def __repr__(self) -> str:
        return f"<Jobs {self._api!r}>"

    async def run(self, work: bytes, policy: dict[str, int], *, is_safe: bool = False) -> str:
        """Begin a job, and return its id. If it `is_safe`, the far end begins a key once, however often it is
        asked.

        Raises NotBegun if it was certainly not begun, and InDoubt if that is not known.
        """
        body = msgspec.json.encode({"input": msgspec.Raw(work), "policy": policy})
        try:
            said = await self._api.ask("POST", "run", body, is_safe=is_safe, within_s=_RUN_S)
        except EngineUnavailable as error:
            raise NotBegun("Runpod cannot be reached.", detail=error.reason) from None
        except EngineError as error:
            raise InDoubt("Runpod's answer was lost.", detail=type(error).__name__) from None
        if said.status in (200, 201):
            return _id_of(said)
        refused = said.refusal()
        if said.status < 400 or (is_temporary(said.status) and said.status != 429):
            raise InDoubt("Runpod failed while it took the work.", detail=refused.detail)
        raise NotBegun(refused.message, detail=refused.detail, retry_after_s=refused.retry_after_s)

    async def status(self, id_: str, *, then_forget: bool = False) -> JobTold | None:
        """Return the state, None if there is no such job. It may then be forgotten soon."""
        query = f"?ttl={_FORGET_MS}" if then_forget else ""
        said = await self._api.ask("GET", f"status/{quote(id_, safe='')}{query}")
        return None if said.status == 404 else checked(said, 200).read(JobTold)

    async def stream(self, id_: str) -> list[Any]:
        """Return what was made since the last call. What is given once is never given again."""
        said = await self._api.ask("GET", f"stream/{quote(id_, safe='')}")
        if said.status == 404:
            return []
        # The SDK reads an object with a list in it, and the documentation shows the list alone.
        body: Any = checked(said, 200).read(object)
        listed = body.get("stream") if isinstance(body, dict) else body
        try:
            return [part.output for part in msgspec.convert(listed, tuple[_Part, ...])]
        except msgspec.ValidationError:
            raise EngineFailed("Runpod's stream is not what it promises.") from None

    async def cancel(self, id_: str) -> None:
        """Ask for the end of a job. Nothing is wrong if there is none; of one that is over, only its status
        can tell."""
        said = await self._api.ask("POST", f"cancel/{quote(id_, safe='')}", is_safe=True)
        checked(said, 200, 400, 404, 409)

    async def health(self) -> RunnerHealth:
        told = checked(await self._api.ask("GET", "health"), 200).read(_Health)
        machines = sum(told.workers.get(name, 0) for name in ("idle", "initializing", "running"))
        return RunnerHealth(machines=machines, waiting=told.jobs.get("inQueue", 0))

    async def load(self) -> int:
        """Return how many jobs wait or run."""
        told = checked(await self._api.ask("GET", "health"), 200).read(_Health)
        return told.jobs.get("inQueue", 0) + told.jobs.get("inProgress", 0)


def pieces_of(output: Any, since: int) -> tuple[RemotePiece, ...]:
    """Return the pieces in a job's output from a number on. Raises EngineFailed if it has not all of them."""
    try:
        pieces = msgspec.convert(output, tuple[RemotePiece, ...])
    except msgspec.ValidationError:
        raise EngineFailed("The worker's answer is not what it promises.") from None
    if [piece.number for piece in pieces] != list(range(len(pieces))) or not (pieces and pieces[-1].is_last):
        raise EngineFailed("A part of the worker's answer is missing.")
    return pieces[since:]


def _id_of(said: Said) -> str:
    try:
        return said.read(_Taken).id
    except EngineFailed:
        raise InDoubt("Runpod took the work without saying what it is called.") from None
