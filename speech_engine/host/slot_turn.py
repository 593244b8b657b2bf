"""A job's turn at the slots of an engine, from its arrival to the moment when it leaves its slot."""

from __future__ import annotations

import asyncio
import time

from speech_engine.errors import EngineBusy
from speech_engine.host.fair import Ticket
from speech_engine.host.recent_sound import RecentSound
from speech_engine.values import SpeechJob, Urgency


class SlotTurn(Ticket):
    """`admission` is there if it had to wait, and `patience_s` is the time that it had left then. `sound` is
    there once it has a slot. A turn that `hears` is for a recording that is transcribed."""

    admission: asyncio.Future[None] | None = None
    patience_s = 0.0
    sound: RecentSound
    rate_hz = 0
    has_finished = hears = False

    def __init__(
        self,
        tenant: str,
        deadline_at: float,
        estimated_s: float = 0.0,
        share: float = 1.0,
        runs_alone: bool = False,
        job: SpeechJob | None = None,
        urgency: Urgency = "live",
    ) -> None:
        super().__init__(tenant, estimated_s, share, urgency)
        self.job = job
        self.deadline_at = deadline_at
        self.runs_alone = runs_alone

    @property
    def is_waiting(self) -> bool:
        """Whether a turn in line may still get a slot: it is neither refused nor cancelled."""
        return self.admission is None or not self.admission.done()

    @property
    def left_s(self) -> float:
        return max(0.0, self.deadline_at - time.monotonic())

    def refuse(self, reason: str, retry_after_s: float) -> None:
        """End the wait, if it waits. A turn that was cancelled in this step does not wait any more."""
        if self.admission is not None and self.is_waiting:
            self.admission.set_exception(EngineBusy(reason, retry_after_s=retry_after_s))
