"""Work for which nobody waits: behind the listeners of all tenants, and never starved for good."""

import asyncio

from speech_engine import SpeechJob, Urgency
from speech_engine.errors import EngineBusy
from speech_engine.host.slot_turn import SlotTurn
from speech_engine.host.slots import IDLE_TURNS, Slots
from speech_engine.values import EngineVoice
from tests.speech_engine.host import simulated_time


class Line:
    """Slots, and the names of those who had a turn, in that order."""

    def __init__(self, count: int, limit: int = 5000) -> None:
        self.slots = Slots(count, limit)
        self.turns: list[str] = []
        self._inside: list[SlotTurn] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Line {self.turns}>"

    def comes(self, tenant: str, urgency: Urgency = "live") -> asyncio.Task[None]:
        task = asyncio.create_task(self._come(tenant, urgency))
        self._tasks.add(task)
        return task

    async def _come(self, tenant: str, urgency: Urgency) -> None:
        job = SpeechJob(
            id=tenant,
            tenant=tenant,
            model="m",
            voice=EngineVoice("v"),
            segments=(),
            language="en",
            urgency=urgency,
        )
        self._inside.append(await self.slots.enter(tenant, 600.0, 1.0, job=job))
        self.turns.append(tenant)

    async def next(self) -> None:
        """One of those inside leaves."""
        self.slots.leave(self._inside.pop(0))
        await settle()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_thousand_idle_jobs_cost_a_listener_of_another_tenant_no_turn() -> None:
    async def play() -> None:
        line = Line(1)
        line.comes("book", "idle")
        await settle()
        for _ in range(1000):
            line.comes("book", "idle")
        await settle()
        for tenant in ("ada", "ben", "ada"):
            line.comes(tenant)
        line.comes("book", "whole")
        await settle()
        for _ in range(5):
            await line.next()
        assert line.turns[0] == "book"
        assert sorted(line.turns[1:5]) == ["ada", "ada", "ben", "book"], "all who listen, before idle work"
        await line.end()

    simulated_time.run(play())


def test_idle_work_has_one_turn_of_so_many_however_many_listeners_come() -> None:
    async def play() -> None:
        line = Line(1)
        line.comes("ada")
        await settle()
        line.comes("book", "idle")
        for _ in range(3 * IDLE_TURNS):
            line.comes("ada")
        await settle()
        for _ in range(IDLE_TURNS):
            await line.next()
        assert line.turns[1 : 1 + IDLE_TURNS].count("book") == 1
        assert line.turns[IDLE_TURNS] == "book"
        await line.end()

    simulated_time.run(play())


def test_of_a_full_queue_idle_work_goes_first() -> None:
    async def play() -> None:
        line = Line(1, limit=3)
        line.comes("ada")
        await settle()
        idle = [line.comes("book", "idle") for _ in range(2)]
        await settle()
        listeners = [line.comes("ben") for _ in range(3)]
        await settle()
        assert [isinstance(task.exception(), EngineBusy) for task in idle if task.done()] == [True, True]
        assert not any(task.done() for task in listeners)
        await line.end()

    simulated_time.run(play())
