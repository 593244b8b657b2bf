"""The lines of trainings elsewhere to a worker in the test's own process."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import httpx2
import msgspec
import pytest

from proxy.features.jobs.remote.links import TRAININGS_PATH
from speech_engine.errors import EngineFailed, EngineUnavailable
from speech_engine.host import remote_training
from speech_engine.training import FarPiece, RemoteMessage, TrainingProgress
from tests.proxy.api.inside import Inside

URL = "https://voxgate.test"
T = TypeVar("T")


@pytest.fixture
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is told to stop after twenty steps, as it is when three quarters of its time are over."""
    tell = remote_training._Relay._tell_progress

    def tell_and_stop(relay: remote_training._Relay, progress: TrainingProgress) -> None:
        tell(relay, progress)
        if progress.stage == "training" and progress.step % 20 == 0:
            relay.stop_soon()

    monkeypatch.setattr(remote_training._Relay, "_tell_progress", tell_and_stop)


class Lines:
    """All lines to the newest of `servers`. `lost` says how often the next tellings lose their answers. What
    is learnt from is not given before `may_ask`, and never while the server `is_away`. With `is_lost`, a far
    end waits for that event after its next piece, and then can tell no more."""

    def __init__(self) -> None:
        self.servers: list[Inside] = []
        self.urls: list[str] = []
        self.told: list[RemoteMessage] = []
        self.lost = 0
        self.may_ask = threading.Event()
        self.may_ask.set()
        self.is_lost: threading.Event | None = None
        self.is_away = False
        self._loop = asyncio.get_running_loop()

    def open(self, url: str) -> "_Line":
        assert url.startswith(f"{URL}{TRAININGS_PATH}")
        self.urls.append(url)
        return _Line(self, url.removeprefix(URL))

    @property
    def pieces(self) -> list[FarPiece]:
        return [told for told in self.told if isinstance(told, FarPiece)]

    async def get(self, path: str, method: str = "GET") -> httpx2.Response:
        return await self.servers[-1].ask(method, path, key="")

    async def post(self, path: str, body: bytes) -> httpx2.Response:
        async with self.servers[-1].client("") as client:
            return await client.post(path, content=body)

    def run(self, asking: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(asking, self._loop).result(30)


class _Line(remote_training.HttpLine):
    def __init__(self, lines: Lines, path: str) -> None:
        self._lines = lines
        self._path = path

    def inputs(self) -> Iterator[bytes]:
        self._lines.may_ask.wait(30)
        if self._lines.is_away:
            raise EngineUnavailable("The server is away.")
        yield _checked(self._lines.run(self._lines.get(self._path))).content

    def send_message(self, told: RemoteMessage) -> None:
        answer = self._lines.run(self._lines.post(self._path, msgspec.msgpack.encode(told)))
        _checked(answer)
        if isinstance(told, FarPiece) and self._lines.lost:
            self._lines.lost -= 1
            raise EngineUnavailable("The server is away.")
        self._lines.told.append(told)
        if isinstance(told, FarPiece) and (is_lost := self._lines.is_lost) is not None:
            is_lost.wait(30)
            raise EngineFailed("This machine is lost.")


def _checked(answer: httpx2.Response) -> httpx2.Response:
    if answer.status_code >= 500:
        raise EngineUnavailable("The server is away.")
    if answer.status_code != 200:
        raise EngineFailed(f"status {answer.status_code}")
    return answer
