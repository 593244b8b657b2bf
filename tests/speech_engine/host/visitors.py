"""Those who want a slot of a Slots: each a task that stays inside until it is told to leave.

Who leaves has made as much audio as was estimated.
"""

import asyncio
from typing import ClassVar

from speech_engine.errors import EngineError
from speech_engine.events import Encoded, Finished, Started
from speech_engine.host.slot_turn import SlotTurn
from speech_engine.host.slots import Slots
from speech_engine.values import Urgency

RATE_HZ = 1_000_000
"""A high rate, so that any time is a whole number of samples."""


class Visitor:
    """`end` is how it ended: "" while it has not, `left`, `cancelled`, or the name of an engine error."""

    def __init__(
        self,
        slots: Slots,
        tenant: str,
        deadline_s: float,
        estimated_s: float = 0.0,
        share: float = 1.0,
        *,
        runs_alone: bool = False,
        hears: bool = False,
        urgency: Urgency = "live",
    ) -> None:
        self.tenant = tenant
        self.runs_alone = runs_alone
        self._hears, self._urgency = hears, urgency
        self.retry_after_s: float | None = None
        self.is_inside = False
        self.end = ""
        self._slots = slots
        self._asks = (tenant, deadline_s, estimated_s, share)
        self._estimated_s = estimated_s
        self._turn: SlotTurn | None = None
        self._leave = asyncio.Event()
        self._task = asyncio.create_task(self._visit())
        self._task.add_done_callback(self._ended)

    def __repr__(self) -> str:
        return f"<Visitor of {self.tenant}: {self.end or ('inside' if self.is_inside else 'waiting')}>"

    def leave(self) -> None:
        self._leave.set()

    def makes(self, sound_s: float) -> None:
        assert self._turn is not None
        self._slots.note(self._turn, Started(RATE_HZ))
        self._slots.note(self._turn, Encoded("mp3", b"", round(sound_s * RATE_HZ)))

    def cancel(self) -> None:
        self._task.cancel()

    async def ended(self) -> None:
        await asyncio.wait([self._task])

    async def _visit(self) -> None:
        try:
            self._turn = turn = await self._slots.enter(
                *self._asks, runs_alone=self.runs_alone, hears=self._hears, urgency=self._urgency
            )
            self.is_inside = True
            try:
                await self._leave.wait()
                self.makes(self._estimated_s - turn.made_s)
                self._slots.note(turn, Finished())
            finally:
                self.is_inside = False
                self._slots.leave(turn)
            self.end = "left"
        except EngineError as error:
            self.end = type(error).__name__
            self.retry_after_s = error.retry_after_s

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Not in `_visit`: a task cancelled before its first step never runs at all.
        if task.cancelled():
            self.end = "cancelled"
        elif (error := task.exception()) is not None:
            self.end = type(error).__name__


class Crowd:
    """All who came, in the order in which they came; `together` has every crowd of the running test."""

    together: ClassVar["list[Crowd]"] = []

    def __init__(self, slots: int, limit: int) -> None:
        self.slots = Slots(slots, limit)
        self.all: list[Visitor] = []
        self.together.append(self)

    def comes(
        self,
        tenant: str,
        deadline_s: float = 3600.0,
        estimated_s: float = 0.0,
        share: float = 1.0,
        *,
        runs_alone: bool = False,
        hears: bool = False,
        urgency: Urgency = "live",
    ) -> Visitor:
        asks = (self.slots, tenant, deadline_s, estimated_s, share)
        self.all.append(Visitor(*asks, runs_alone=runs_alone, hears=hears, urgency=urgency))
        return self.all[-1]

    @property
    def inside(self) -> list[Visitor]:
        return [visitor for visitor in self.all if visitor.is_inside]

    @property
    def waiting(self) -> list[Visitor]:
        return [visitor for visitor in self.all if not visitor.is_inside and not visitor.end]

    async def go(self) -> None:
        """Sends everybody away who is left; then nobody waits and no slot is taken."""
        for visitor in self.all:
            visitor.cancel()
        await asyncio.gather(*(visitor.ended() for visitor in self.all))
        assert (self.slots.running, self.slots.waiting) == (0, 0)

    async def order(self) -> list[str]:
        """Lets everybody leave, one after another; the tenants in the order in which they were inside."""
        turns: list[str] = []
        while self.inside:
            turns.append(self.inside[0].tenant)
            self.inside[0].leave()
            await steps()
        return turns


async def steps(count: int = 8) -> None:
    """Turns of the event loop: enough for everything that needs no clock to come about."""
    for _ in range(count):
        await asyncio.sleep(0)
