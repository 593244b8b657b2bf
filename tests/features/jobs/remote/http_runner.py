"""A runner over HTTP: its provider is a `RemoteServer` in the process of the test, so it outlives workers."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from speech_engine import Context, EngineFailed, HttpRequest, Plugin, runner

USD = 0.25
LIMITS = runner.RunnerLimits(
    most_s=60.0, over_s=600.0, most_usd=1.0, most_bytes=10_000_000, kept_s=1800.0, stays_s=3600.0
)
_STATUS: dict[str, runner.RemoteStatus] = {"COMPLETED": "done", "CANCELLED": "canceled"}


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    url: str
    token: str


class HttpRunner:
    limits = LIMITS

    def __init__(self, settings: HttpSettings, context: Context) -> None:
        self._settings = settings
        self._http = context.http

    async def submit(self, work: runner.RemoteWork) -> str:
        _, shown = await self._ask("POST", "run", msgspec.json.encode({"input": work}))
        return str(shown["id"])

    async def find(self, key: str) -> str | None:
        status, shown = await self._ask("GET", f"status/{key}")
        return None if status == 404 else str(shown["id"])

    async def look(self, name: str, work: runner.RemoteWork, since: int) -> runner.RemoteState:
        status, shown = await self._ask("GET", f"stream/{name}?since={since}")
        if status == 404:
            return runner.RemoteState(status="lost")
        pieces = msgspec.convert([each["output"] for each in shown["stream"]], tuple[runner.RemotePiece, ...])
        return runner.RemoteState(status=_STATUS.get(shown["status"], "running"), pieces=pieces, usd=USD)

    async def cancel(self, name: str) -> float | None:
        await self._ask("POST", f"cancel/{name}", b"{}")
        return None

    async def health(self) -> runner.RunnerHealth:
        return runner.RunnerHealth()

    async def tidy(self, live: Mapping[str, float]) -> None:
        """The machine ends with the test."""

    async def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        headers = {"authorization": f"Bearer {self._settings.token}", "content-type": "application/json"}
        request = HttpRequest(method=method, url=f"{self._settings.url}/{path}", headers=headers, body=body)
        async with self._http.send(request) as answer:
            if answer.status not in (200, 404):
                raise EngineFailed(f"The far end answers {answer.status}.")
            return answer.status, msgspec.json.decode(await answer.read(64 * 1024 * 1024))


@asynccontextmanager
async def _create(_name: str, settings: HttpSettings, context: Context) -> AsyncIterator[HttpRunner]:
    yield HttpRunner(settings, context)


PLUGIN = Plugin(kind="runner", name="far_http", settings=HttpSettings, create=_create)


def voxgate_register() -> tuple[Plugin[Any], ...]:
    return (PLUGIN,)
