"""An engine's slots and the queue for them: bounded, fair between tenants in seconds of audio.

`fair` chooses the next job and predicts the time. Jobs wait here, and a job that would wait in vain fails
early. When the queue is full, the tenant with the longest line loses its newest waiter, so that one account's
flood cannot shut the others out. An engine with a batch also says whether a job fits beside its present jobs.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from itertools import islice, takewhile
from typing import Any

from speech_engine.errors import EngineTimeout
from speech_engine.events import Audio, Encoded, Event, Finished, Started
from speech_engine.hearing import Transcript
from speech_engine.host.batch import Batch
from speech_engine.host.fair import IDLE, WAITED_FOR, FairOrder, Pace, forecast
from speech_engine.host.messages import HealthReport
from speech_engine.host.recent_sound import RecentSound
from speech_engine.host.refused_jobs import LONGEST_RETRY_S, RESERVE, RefusedJobs, bounded_retry_s
from speech_engine.host.slot_turn import SlotTurn
from speech_engine.values import SpeechJob, Urgency

REVIEW_EVERY_S = 0.25
"""The time between two looks at the whole line: jobs that run may have become slow."""
LATE_SHARE = 0.25
"""The patience with a job in line: the job leaves if its wait is a quarter too long, by an estimate."""
SURELY_LATE = 0.75
"""The part of the usual time to a first sound that a job must have left to get a slot."""
IDLE_PART = 4
"""Work without a waiting client gets at most one in so many slots, but at least one slot."""
MOST_AHEAD = 32
"""The most jobs ahead of a newcomer that are shown to the batch: more would only take longer."""
SHORT_PART, LONG_S = 4, 30.0
"""One in `SHORT_PART` slots is never for a recording longer than `LONG_S`, nor for speech that is made ahead,
so that others need not wait."""
IDLE_TURNS = 16
"""While work without a client waits, it gets at least one of so many turns."""

_GOES_ON: frozenset[Urgency] = frozenset({"ahead"})
_TOO_LONG = "The wait would be too long."


class Slots:
    """The slots of one engine. Any thread may call `health`, but only the event loop may call all else.

    Each `enter` that returns needs one `leave`. At most `limit` jobs wait. With a `batch`, the next job in
    line also waits until it fits beside the others."""

    def __init__(self, count: int, limit: int, batch: Batch | None = None) -> None:
        self.count = count
        self.limit = limit
        self._batch = batch
        self._predicts_waits = batch is None or not batch.predicts_waits
        self._is_gated = batch is not None and self._predicts_waits
        self._review_timer: asyncio.TimerHandle | None = None
        self._idle_count = max(1, count // IDLE_PART)
        # The turns of listeners since idle work has waited for one.
        self._passed_idle = 0
        self._running: set[SlotTurn] = set()
        self._next_alone: SlotTurn | None = None
        self._open_answers = 0
        self._has_lone_turn = False
        self._order: FairOrder[SlotTurn] = FairOrder()
        self._pace = Pace(learns_from_silence=self._predicts_waits)
        self._made_s = 0.0
        self._refused = RefusedJobs()

    def __repr__(self) -> str:
        return f"<Slots {self.running} of {self.count} running, {self.waiting} waiting>"

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return self._order.waiting + (self._next_alone is not None)

    def health(self) -> HealthReport:
        return HealthReport(self.count, self.running, self.waiting, self._order.waiting_s)

    def wait_s(self) -> float:
        """Predict how long a text would wait that came now."""
        job = next((turn.job for turn in self._running if turn.job is not None), None)
        wait_s = self._batch.fits_in_s(job, self._admitted) if self._batch and job else 0.0
        if self._running and (self.waiting or self.running >= self.count):
            free_in_s, pace = self._free_in_s()
            wait_s = max(wait_s, (sum(free_in_s) + self._order.waiting_s * pace) / len(free_in_s))
        return min(LONGEST_RETRY_S, wait_s)

    def resize(self, count: int) -> None:
        """Have another number of slots. Running jobs go on, even if they are more than that."""
        self.count = count
        self._idle_count = max(1, count // IDLE_PART)
        self._pace.forget_together()
        self._let_in()

    async def enter(
        self, tenant: str, deadline_s: float, *details: Any, hears: bool = False, **options: Any
    ) -> SlotTurn:
        """Take one slot. `details` and `options` are the other arguments of `SlotTurn`. A turn that
        `runs_alone` gets it when all slots are free and all answers are read, and then no other gets one.

        Raises EngineBusy as soon as there is no room to wait, or the wait would be too long. Raises
        EngineTimeout past the deadline.
        """
        turn = SlotTurn(tenant, time.monotonic() + deadline_s, *details, **options)
        turn.hears = hears
        if turn.job is not None:
            turn.urgency = self._urgency_of(turn.job)
        if not self.take_now(turn):
            await self.take(turn)
        return turn

    def take_now(self, turn: SlotTurn) -> bool:
        """Take a slot if one is free and no turn waits, and return whether it was taken. A turn that runs
        alone, is idle or ahead, hears, or is for a batch never gets one here: `take` knows their rules."""
        if (
            self._order.waiting
            or self._next_alone is not None
            or self._has_lone_turn
            or len(self._running) >= self.count
            or self._batch is not None
            or turn.runs_alone
            or turn.hears
            or turn.urgency in ("idle", "ahead")
        ):
            return False
        self._order.begin(turn)
        self._begin(turn)
        return True

    async def take(self, turn: SlotTurn) -> None:
        """Take a slot, in line behind the waiting jobs. Raises as `enter` does."""
        self._order.push(turn)
        self._let_in()
        if turn not in self._running:
            await self._wait(turn)

    def note(self, turn: SlotTurn, event: Event) -> None:
        """Count the audio that came out of the slot or was heard in it, and its end."""
        match event:
            case Audio(pcm=pcm) if turn.rate_hz > 0:
                self._count_made(turn, len(pcm) / 2 / turn.rate_hz)
            case Encoded(samples=int(samples)) if turn.rate_hz > 0:
                self._count_made(turn, samples / turn.rate_hz)
            case Transcript(up_to_s=up_to_s):
                self._count_made(turn, max(0.0, up_to_s - turn.made_s))
            case Started(sample_rate_hz=rate_hz):
                turn.rate_hz = rate_hz
            case Finished():
                turn.has_finished = True

    def _count_made(self, turn: SlotTurn, seconds: float) -> None:
        self._made_s += seconds
        self._order.note_made(turn, seconds)
        turn.sound.add(seconds)

    def _begin(self, turn: SlotTurn) -> None:
        turn.sound = RecentSound()
        self._running.add(turn)

    def leave(self, turn: SlotTurn) -> None:
        """Give the slot to the next job in line."""
        # A job that broke off before any audio has held the slot too.
        self._release(turn, turn.made_s or turn.estimated_s)

    def begin_answer(self) -> None:
        """Note that the answer to a turn has a reader. It may take longer than the slot is held."""
        self._open_answers += 1

    def end_answer(self) -> None:
        self._open_answers -= 1
        self._let_in()

    def _urgency_of(self, job: SpeechJob) -> Urgency:
        if self._batch is None or job.urgency == "idle":
            return job.urgency
        if self._batch.goes_on(job):
            return "ahead"
        return "live" if job.urgency == "ahead" else job.urgency

    async def _wait(self, turn: SlotTurn) -> None:
        turn.admission, turn.patience_s = asyncio.get_running_loop().create_future(), turn.left_s
        self._judge(turn)
        # Now that it has a place, it learns if it would fit too late.
        self._let_in()
        if self._review_timer is None:
            self._look_in(REVIEW_EVERY_S)
        try:
            async with asyncio.timeout_at(turn.deadline_at):
                await turn.admission
        except BaseException as error:
            if turn in self._running:
                # The turn was cancelled at the moment when the slot was given: pass the slot on.
                self._release(turn, 0.0)
            elif turn is self._next_alone:
                self._next_alone = None
                self._order.end(turn, 0.0)
                self._let_in()
            else:
                self._order.discard(turn)
            if isinstance(error, TimeoutError):
                raise EngineTimeout("No slot became free in time.") from None
            raise

    def _judge(self, newcomer: SlotTurn) -> None:
        """Send away the newcomer if it would wait in vain, or one job if the queue is too long."""
        if newcomer is self._next_alone:
            return  # it has left the queue: a slot is reserved for it
        left_s = newcomer.left_s - self._first_s(newcomer)
        free_in_s, pace = self._free_in_s()
        longest_s = (sum(free_in_s) + self._order.waiting_s * pace) / len(free_in_s)
        # Skip the walk through the queue where its result cannot matter.
        if longest_s > left_s and (starts_in_s := self._starts_in_s(newcomer)) > left_s:
            self._order.discard(newcomer)
            self._refuse(newcomer, _TOO_LONG, starts_in_s, left_s)
        elif (fits_in_s := self._fits_behind_s(newcomer)) > left_s:
            self._order.discard(newcomer)
            self._refuse(newcomer, _TOO_LONG, fits_in_s)
        elif self._order.waiting > self.limit:
            loser = self._order.newest_of_longest(newcomer)
            self._refuse(loser, "The queue is full.", self._starts_in_s(loser))
            self._order.discard(loser)

    def _refuse(self, turn: SlotTurn, reason: str, starts_in_s: float, left_s: float = 0.0) -> None:
        """Tell a job that would begin in so many seconds, and has so many left, when to come back."""
        if not turn.is_waiting:
            return  # it was refused or has left in this step, and leaves the queue in the next one
        retry_after_s, now = starts_in_s - left_s, time.monotonic()
        if self._predicts_waits:
            free_in_s, pace = self._free_in_s()
            before_s = self._refused.seconds_before(turn, now) * pace / len(free_in_s)
            retry_after_s = starts_in_s + before_s - max(0.0, left_s) * RESERVE
        retry_after_s = bounded_retry_s(retry_after_s)
        turn.refuse(reason, retry_after_s)
        if turn.urgency not in IDLE:
            # Clients are told whole seconds.
            self._refused.add(turn, now + math.ceil(retry_after_s))

    def _release(self, turn: SlotTurn, cost_s: float) -> None:
        self._running.remove(turn)
        if turn.runs_alone:
            self._has_lone_turn = False
        self._order.end(turn, cost_s)
        held_s = time.monotonic() - turn.sound.began_at
        if turn.has_finished:
            first_s = turn.sound.first_s or held_s
            self._pace.learn(held_s, turn.estimated_s, turn.made_s, first_s)
        elif not turn.made_s:
            self._pace.learn_silence(held_s, turn.estimated_s)
        if self._order.waiting or self._next_alone is not None:
            if self._order.head(WAITED_FOR) is None:
                self._pace.ended = None  # idle work may wait while slots are free
            elif self._pace.ended is None or turn.has_finished:
                self._pace.learn_end(time.monotonic(), self._made_s)
            self._let_in()
        else:
            self._pace.ended = None

    def _let_in(self) -> None:
        while (turn := self._next_turn()) is not None:
            if turn.admission is not None and turn.left_s < self._first_s(turn) * SURELY_LATE:
                self._refuse(turn, _TOO_LONG, 0.0)
            if not turn.is_waiting:
                self._order.end(turn, 0.0)
                continue
            if turn.runs_alone and not self._is_empty:
                self._next_alone = turn
                return
            self._begin(turn)
            self._has_lone_turn = turn.runs_alone
            if turn.admission is not None:
                turn.admission.set_result(None)

    @property
    def _is_empty(self) -> bool:
        """Whether the process may die without a loss: no job runs, and every answer has been read."""
        return not self._running and not self._open_answers

    def _next_turn(self) -> SlotTurn | None:
        """Return the turn that gets a slot now, unless it has to wait until all slots are free."""
        if self._next_alone is not None:
            if not self._is_empty:
                return None
            turn, self._next_alone = self._next_alone, None
            return turn
        if self._has_lone_turn or len(self._running) >= self.count or not self._order.waiting:
            return None
        has_idle_room = len([turn for turn in self._running if turn.urgency == "idle"]) < self._idle_count
        idle = self._order.head(IDLE, self._has_room) if has_idle_room else None
        head = self._order.head(WAITED_FOR, self._has_room)
        if idle is not None and self._passed_idle >= IDLE_TURNS - 1:
            head = idle
        if head is not None and not self._fits(head):
            # An answer that plays goes on, and idle work does not delay others.
            head = self._order.head(_GOES_ON)
        head = head or idle
        if head is None:
            return None
        self._passed_idle = 0 if idle is None or head is idle else self._passed_idle + 1
        return self._order.pop(head)

    def _has_room(self, turn: SlotTurn) -> bool:
        """Tell whether the turn may have a free slot. Some are kept from speech that is made ahead, and from
        recordings, which hold one to their end: an account that has one gets at most half."""
        if turn.urgency == "ahead" and self._batch is None:
            ahead = sum(other.urgency == "ahead" for other in self._running)
            return ahead < self.count - self.count // SHORT_PART
        if not turn.hears:
            return True
        most, hearing = self.count, [other.tenant for other in self._running if other.hears]
        if turn.tenant in hearing:
            most //= 2
        elif turn.estimated_s > LONG_S:
            most -= most // SHORT_PART
        return len(hearing) < most

    def _fits(self, turn: SlotTurn) -> bool:
        """Tell whether the turn fits now. A turn that will not fit in time is refused here, and leaves the
        line as if it fitted."""
        if self._batch is None or turn.job is None:
            return True
        later_s = self._batch.fits_in_s(turn.job, self._admitted)
        if later_s == 0.0:
            return True
        if turn.admission is not None and later_s > turn.left_s:
            self._refuse(turn, _TOO_LONG, later_s)
            return True
        self._look_in(min(later_s, REVIEW_EVERY_S))
        return False

    def _look_in(self, seconds: float) -> None:
        """Look at the line again after a time, while any job waits."""
        if self._review_timer is not None:
            self._review_timer.cancel()
        self._review_timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        self._review_timer = None
        self._let_in()
        if self._order.waiting:
            self._review()
            self._look_in(REVIEW_EVERY_S)

    def _fits_behind_s(self, newcomer: SlotTurn) -> float:
        """Predict by the batch when a job fits that comes after those in line."""
        if self._batch is None or newcomer.job is None:
            return 0.0
        ahead = takewhile(lambda turn: turn is not newcomer, islice(self._order.order(), MOST_AHEAD))
        jobs = tuple(turn.job for turn in ahead if turn.job is not None)
        return self._batch.fits_in_s(newcomer.job, self._admitted + jobs)

    @property
    def _admitted(self) -> tuple[SpeechJob, ...]:
        """The jobs that have a slot, but may not have reached the engine yet."""
        return tuple(turn.job for turn in self._running if turn.job is not None and not turn.rate_hz)

    def _review(self) -> None:
        """Send away jobs whose deadlines cannot be met: the pace has changed, or others were first."""
        late = []
        head = self._order.head(WAITED_FOR)
        fits_in_s = 0.0 if head is None else self._fits_behind_s(head)
        for turn, free_in_s in self._forecast():
            starts_in_s, left_s = max(free_in_s, fits_in_s), turn.left_s - self._first_s(turn)
            if starts_in_s - left_s > turn.patience_s * LATE_SHARE:
                self._refuse(turn, _TOO_LONG, starts_in_s, left_s)
                late.append(turn)
        for turn in late:
            self._order.discard(turn)

    def _starts_in_s(self, turn: SlotTurn) -> float:
        """Predict the wait; 0 before any measurement. Waits too long to matter count as equal."""
        ahead_s = turn.left_s + LONGEST_RETRY_S
        return next((s for other, s in self._forecast() if other is turn or s > ahead_s), 0.0)

    def _forecast(self) -> Iterator[tuple[SlotTurn, float]]:
        """Yield all jobs in line in the order of their turns, and when each begins."""
        return forecast(self._order.order(), *self._free_in_s(), lambda turn: turn.is_waiting)

    def _first_s(self, turn: SlotTurn) -> float:
        """Predict the time from a slot to the first sound. A recording only has to have its slot in time."""
        return self._pace.first_s(turn.estimated_s) if self._predicts_waits and not turn.hears else 0.0

    def _free_in_s(self) -> tuple[list[float], float]:
        """Return when the slots become free, and their pace; once it is known what they give together, they
        count as one. A slot whose job takes too long may be free at any moment."""
        running = [(turn.estimated_s, *turn.sound.lately()) for turn in self._running]
        now, pace = time.monotonic(), self._pace.now(running)
        busy = [max(0.0, turn.estimated_s * pace - (now - turn.sound.began_at)) for turn in self._running]
        if self._predicts_waits and (together := self._pace.together(running, self.count)):
            return [min(busy)], together
        # Slots stay free for a turn that runs alone, but soon other turns can have them.
        free = 0 if busy and self._is_gated else self.count - self.running
        return busy + [0.0] * free, pace
