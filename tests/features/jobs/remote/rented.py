"""A runner over a far end in the test's own process, which knows what was begun, and what it has cost."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import structlog

from speech_engine import Context, EngineFailed, EngineTimeout, Plugin, runner
from speech_engine.device import CPU
from speech_engine.host.remote_calls import fetch_recording
from speech_engine.host.remote_training import OpenLine
from speech_engine.host.remote_worker import Fetch, RemoteTrainer, RemoteWorker, open_remote_worker
from speech_engine.training import BeginTraining
from tests.proxy.api.inside import NoSettings

USD = 0.25
MOST_USD = 1.0
LIMITS = runner.RunnerLimits(
    most_s=60.0, over_s=600.0, most_usd=MOST_USD, most_bytes=10_000_000, kept_s=1800.0, stays_s=3600.0
)


def piece_of(key: str) -> str:
    return key.rpartition(".")[0]


class Rented:
    """The provider. Each piece of work of one name may live once: `doubles` are those that began beside."""

    def __init__(self, remote_worker: RemoteWorker, limits: runner.RunnerLimits = LIMITS) -> None:
        self.limits = limits
        self.remote_worker = remote_worker
        self.begun: list[str] = []
        self.doubles: list[str] = []
        self.works: dict[str, runner.RemoteWork] = {}
        self.alive: set[str] = set()
        self.canceled: list[str] = []
        self.forgotten: set[str] = set()
        self.live: list[dict[str, float]] = []
        self.stands_still = False
        """Whether nothing is done on its machines."""
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.ends_at_once: tuple[str, ...] = ()
        """What work may end before, by the beginning of its key."""
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.submits: list[str] = []
        """What becomes of the next submits: "" well, "lost" begun without an answer, "nothing" not begun and
        nobody knows, "refused" surely not begun."""
        self.finds: str = "no"
        """Whether it can find what was begun: "no", "yes", or "away"."""
        self.usd: float | None = USD
        self.away = 0
        """How often it will not answer a look."""
        self.cancels_left: int | None = None
        """How often it will answer a cancel, None for always."""
        self.tidies_left: int | None = None

    async def submit(self, work: runner.RemoteWork) -> str:
        fate = self.submits.pop(0) if self.submits else ""
        if fate == "refused":
            raise runner.NotBegun("No machine is free.", retry_after_s=3.0)
        if fate != "nothing":
            self._begin(work)
        await self.may_answer.wait()
        if fate:
            raise EngineTimeout("The answer was lost.")
        return f"name-{work.key}"

    def _begin(self, work: runner.RemoteWork) -> None:
        if any(piece_of(key) == piece_of(work.key) for key in self.alive):
            self.doubles.append(work.key)
        self.begun.append(work.key)
        self.alive.add(work.key)
        self.works[work.key] = work
        if not self.stands_still:
            self.remote_worker.begin(work)

    async def find(self, key: str) -> str | None:
        if self.finds == "no":
            raise runner.CannotTell("It has no list.")
        if self.finds == "away":
            raise EngineFailed("It does not answer.")
        return f"name-{key}" if key in self.works else None

    async def look(self, name: str, work: runner.RemoteWork, since: int) -> runner.RemoteState:
        key = name.removeprefix("name-")
        assert work.key == key
        if self.away:
            self.away -= 1
            raise EngineFailed("It does not answer.")
        answer = self.remote_worker.find(key)
        if answer is None and self.stands_still and key in self.alive:
            return runner.RemoteState(status="running")
        if answer is None or key in self.forgotten:
            self.alive.discard(key)
            return runner.RemoteState(status="lost", usd=self.usd)
        may_end = self.may_end.is_set() or key.startswith(self.ends_at_once) or key in self.canceled
        if not may_end or not answer.is_over:
            return runner.RemoteState(status="running", pieces=tuple(answer.pieces[since:]))
        self.alive.discard(key)
        status: runner.RemoteStatus = "canceled" if answer.is_forgotten else "done"
        return runner.RemoteState(status=status, pieces=tuple(answer.pieces[since:]), usd=self.usd)

    async def cancel(self, name: str) -> float | None:
        key = name.removeprefix("name-")
        if self.cancels_left is not None:
            if not self.cancels_left:
                raise EngineFailed("It does not answer.")
            self.cancels_left -= 1
        self.canceled.append(key)
        self.alive.discard(key)
        await self.remote_worker.cancel(key)
        return self.usd

    async def health(self) -> runner.RunnerHealth:
        return runner.RunnerHealth(machines=1)

    async def tidy(self, live: Mapping[str, float]) -> None:
        self.live.append(dict(live))
        if self.tidies_left is not None:
            if not self.tidies_left:
                raise EngineFailed("It does not answer.")
            self.tidies_left -= 1

    async def is_over(self, key: str) -> bool:
        answer = self.remote_worker.find(key)
        return answer is not None and answer.is_over

    def spoil(self, key: str, piece: runner.RemotePiece) -> None:
        """Let the result of a work be this piece alone."""
        answer = self.remote_worker.find(key)
        assert answer is not None
        answer.pieces[:] = [piece]

    @property
    def plugin(self) -> Plugin[Any]:
        @asynccontextmanager
        async def create(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Any]:
            yield self

        return Plugin(kind="runner", name="rented", settings=NoSettings, create=create)


@asynccontextmanager
async def rented(
    settings: bytes = b"{}",
    limits: runner.RunnerLimits = LIMITS,
    fetch: Fetch = fetch_recording,
    line: OpenLine | None = None,
) -> AsyncIterator[Rented]:
    """Rent machines with the tone engine, which train over these lines."""
    log, worker, trainer = structlog.get_logger(), "plugins.tone.worker", None
    if line is not None:
        begin = BeginTraining(name="tone", module="plugins.tone.trainer", settings=settings)
        trainer = RemoteTrainer(begin, line)
    async with open_remote_worker(worker, settings, CPU, log, fetch=fetch, trainer=trainer) as remote_worker:
        yield Rented(remote_worker, limits)
