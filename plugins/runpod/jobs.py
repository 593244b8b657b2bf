"""The jobs API. An endpoint of Runpod's queue and our own pods serve the same one."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from plugins.runpod.api import MOST_ANSWER_BYTES, Api, is_temporary, require_status
from speech_engine.errors import EngineError, EngineFailed, EngineUnavailable
from speech_engine.redacted import Redacted
from speech_engine.runner import (
    OPEN,
    NotBegun,
    RemotePiece,
    RemoteState,
    RemoteStatus,
    RemoteWork,
    RunnerHealth,
)
from speech_engine.work import job_of

MOST_RUN_BYTES = 9_900_000
"""Runpod takes 10 MB. The rest is for the JSON around the work."""
_MOST_RESULT_BYTES = 88 * 1024 * 1024
"""The server takes 64 MiB of sound, which are a third more in base64."""
_RESULT_BYTES_A_SAMPLE = 3
"""Two bytes are 2.7 in base64. The rest is for the times of the words."""
_RUN_S = 30.0
_FORGET_MS = 10_000
_PAUSE_S = 1.0
_MOST_CHECKS = 5

_STATUSES: dict[str, RemoteStatus] = {
    "IN_QUEUE": "queued",
    "COMPLETED": "done",
    "FAILED": "failed",
    "TIMED_OUT": "failed",
    "CANCELLED": "canceled",
}


class JobStatus(Redacted, msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer of /status. Its `error` is not read, because it may quote a text."""

    id: str
    status: str
    delay_time: float | None = None
    execution_time: float | None = None
    output: Any = None

    @property
    def remote_status(self) -> RemoteStatus:
        """The state of the job. An unknown state counts as running."""
        return _STATUSES.get(self.status, "running")


class _Accepted(msgspec.Struct, frozen=True):
    id: str


class _Part(Redacted, msgspec.Struct, frozen=True):
    output: Any = None


class _Health(msgspec.Struct, frozen=True):
    jobs: dict[str, int] = {}
    workers: dict[str, int] = {}


class Jobs:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def run(self, work: bytes, policy: dict[str, int], *, is_safe: bool = False) -> str:
        """Begin a job and return its id. If `is_safe`, the server begins work with one key only once.

        Raises NotBegun if the job was not begun, and EngineFailed if that is unknown: find that out before
        any retry.
        """
        body = msgspec.json.encode({"input": msgspec.Raw(work), "policy": policy})
        try:
            reply = await self._api.request("POST", "run", body, is_safe=is_safe, within_s=_RUN_S)
        except EngineUnavailable as error:
            raise NotBegun("Runpod cannot be reached.", detail=error.reason) from None
        except EngineError as error:
            raise EngineFailed("Runpod's answer was lost.", detail=type(error).__name__) from None
        if reply.status in (200, 201):
            try:
                return reply.read(_Accepted).id
            except EngineFailed:
                raise EngineFailed("Runpod took the work without saying what it is called.") from None
        refused = reply.refusal()
        if reply.status < 400 or (is_temporary(reply.status) and reply.status != 429):
            raise EngineFailed("Runpod failed while it took the work.", detail=refused.detail)
        raise NotBegun(refused.message, detail=refused.detail, retry_after_s=refused.retry_after_s)

    async def status(
        self, id_: str, most_bytes: int = MOST_ANSWER_BYTES, *, then_forget: bool = False
    ) -> JobStatus | None:
        """Return the job, or None if it does not exist. With `then_forget`, Runpod may delete it soon."""
        query = f"?ttl={_FORGET_MS}" if then_forget else ""
        reply = await self._api.request("GET", f"status/{quote(id_, safe='')}{query}", most_bytes=most_bytes)
        return None if reply.status == 404 else require_status(reply, 200).read(JobStatus)

    async def stream(self, id_: str) -> list[Any]:
        """Return the output since the last call. Runpod gives each output only once."""
        reply = await self._api.request("GET", f"stream/{quote(id_, safe='')}")
        if reply.status == 404:
            return []
        # The SDK reads an object that holds the list. The documentation shows the list alone.
        body: Any = require_status(reply, 200).read(object)
        listed = body.get("stream") if isinstance(body, dict) else body
        try:
            return [part.output for part in msgspec.convert(listed, tuple[_Part, ...])]
        except msgspec.ValidationError:
            raise EngineFailed("Runpod's stream is not what it promises.") from None

    async def cancel(self, id_: str, server: str) -> JobStatus | None:
        """Cancel a job, and return its last state, or None if it does not exist.

        Raises EngineFailed, which names the `server`, if the job goes on.
        """
        reply = await self._api.request("POST", f"cancel/{quote(id_, safe='')}", is_safe=True)
        require_status(reply, 200, 400, 404, 409)
        for _ in range(_MOST_CHECKS):
            job = await self.status(id_, then_forget=True)
            if job is None or job.remote_status not in OPEN:
                return job
            await self._api.pause(_PAUSE_S)
        raise EngineFailed(f"{server} has not ended a job that was canceled.")

    async def health(self) -> RunnerHealth:
        health = require_status(await self._api.request("GET", "health"), 200).read(_Health)
        machines = sum(health.workers.get(name, 0) for name in ("idle", "initializing", "running"))
        return RunnerHealth(machines=machines, waiting=health.jobs.get("inQueue", 0))

    async def count_open(self) -> int:
        jobs = require_status(await self._api.request("GET", "health"), 200).read(_Health).jobs
        return jobs.get("inQueue", 0) + jobs.get("inProgress", 0)


def most_result_bytes(work: RemoteWork) -> int:
    """Return the limit of an answer with the result of this work. Speech may be as long as its job allows."""
    job = None if work.work is None else job_of(work.work)
    samples = 0 if job is None else job.max_samples or 0
    return min(_MOST_RESULT_BYTES, max(MOST_ANSWER_BYTES, _RESULT_BYTES_A_SAMPLE * samples))


def pieces_of(output: Any, since: int) -> tuple[RemotePiece, ...]:
    """Return the pieces of a job's output from number `since` on. Raises EngineFailed if one is missing."""
    try:
        pieces = msgspec.convert(output, tuple[RemotePiece, ...])
    except msgspec.ValidationError:
        raise EngineFailed("The worker's answer is not what it promises.") from None
    if [piece.number for piece in pieces] != list(range(len(pieces))) or not (pieces and pieces[-1].is_last):
        raise EngineFailed("A part of the worker's answer is missing.")
    return pieces[since:]


def finished_state(output: Any, since: int, usd: float | None) -> RemoteState:
    try:
        return RemoteState(status="done", pieces=pieces_of(output, since), usd=usd)
    except EngineFailed as error:
        return RemoteState(status="failed", usd=usd, reason=error.message)
