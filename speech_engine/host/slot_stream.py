"""Work in a slot of its engine: it waits for the slot, counts what comes out, and gives the slot back."""

from __future__ import annotations

from collections.abc import AsyncIterator

from speech_engine.engine import Engine
from speech_engine.events import Event, Finished
from speech_engine.host.engine_stream import EngineAnswer, OnDispatch, ignore_dispatch
from speech_engine.host.slot_turn import SlotTurn
from speech_engine.host.slots import Slots
from speech_engine.plugin import Logger
from speech_engine.work import Work, job_of, with_deadline


class SlotStream:
    """The stream of an engine that works in this process. `on_dispatch` is called when it has its slot.

    The slot is free again when Finished or an error comes out, or when the stream is closed. If it
    `runs_alone`, the engine has no other work meanwhile.
    """

    def __init__(
        self,
        engine: Engine,
        slots: Slots,
        work: Work,
        log: Logger,
        on_dispatch: OnDispatch = ignore_dispatch,
        pcm: AsyncIterator[bytes] | None = None,
    ) -> None:
        self._engine = engine
        self._slots = slots
        self._work = work
        self._log = log
        self._on_dispatch = on_dispatch
        self._pcm = pcm
        self.runs_alone = False
        self._turn: SlotTurn | None = None
        self._answer: EngineAnswer | None = None
        self._is_over = False

    def __repr__(self) -> str:
        state = "over" if self._is_over else "begun" if self._turn else "not begun"
        return f"<SlotStream of {self._work!r}, {state}>"

    async def next_event(self) -> Event | None:
        if self._is_over:
            return None
        try:
            if self._turn is None or self._answer is None:
                self._turn, self._answer = await self._begin()
            event = await self._answer.next_event()
        except BaseException:
            self._leave()
            raise
        if event is not None:
            self._slots.note(self._turn, event)
        if event is None or isinstance(event, Finished):
            self._leave()
        return event

    async def close(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        try:
            if self._answer is not None:
                await self._answer.close()
        finally:
            self._leave()

    async def _begin(self) -> tuple[SlotTurn, EngineAnswer]:
        work = self._work
        turn = await self._slots.enter(
            work.tenant,
            work.deadline_s,
            work.estimated_s,
            work.share,
            runs_alone=self.runs_alone,
            job=job_of(work),
        )
        self._on_dispatch(True)
        # The time of waiting is gone.
        left = with_deadline(work, turn.left_s)
        return turn, EngineAnswer(self._engine, left, self._log, self._pcm)

    def _leave(self) -> None:
        self._is_over = True
        if self._turn is not None:
            self._slots.leave(self._turn)
