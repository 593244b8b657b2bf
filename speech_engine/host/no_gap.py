"""Admits a listener only if no sound will pause, by the measured times of steps: first the rule, then
the jobs as they come to it.

Without a clock. Each listener is a demand for sound over time: nothing until its slack is over, then a steady
flow until its text ends. The device makes sound at one rate for all together. If all demands up to any moment
fit into what is made until then, none runs dry while the least slack goes first. Only steps count that are
quick enough for each row in them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from speech_engine.host.batch_model import BatchSettings, listener_of
from speech_engine.host.continuity import IDLE_SHARE, Listener
from speech_engine.host.step_times import MARGIN, StepTimes
from speech_engine.values import SpeechJob

LEAST_PIECE_S = 0.4
"""Sound comes in pieces: this much is made before any of it plays."""

LEAST_LEFT_S = 0.5
"""A text that is longer than its estimate may go on for as much again."""


class Demand(NamedTuple):
    """The sound that a listener wants: `left_s` seconds in all, a first piece at `from_s`, and then `rate` a
    second. If it `is_paced`, a listener hears it as it comes."""

    from_s: float
    left_s: float
    rate: float
    is_paced: bool = True

    @property
    def to_s(self) -> float:
        return self.from_s + max(0.0, self.left_s - LEAST_PIECE_S) / self.rate

    def until(self, at_s: float) -> float:
        if at_s < self.from_s:
            return 0.0
        return min(self.left_s, LEAST_PIECE_S + (at_s - self.from_s) * self.rate)


def demand_of(listener: Listener, now: float, *, is_last: bool = True) -> Demand | None:
    """Return what a listener still wants; None for work without a listener.

    What follows a job is counted with the last one of the same answer, and so only once.
    """
    if listener.is_idle:
        return None
    left_s = max(LEAST_LEFT_S, listener.left_s) + (listener.follows_s if is_last else 0.0)
    return Demand(max(0.0, listener.due_at() - now), left_s, listener.rate, listener.is_heard_as_it_comes)


class Capacity(NamedTuple):
    """What the device makes in steps of `width` rows at most. It has memory for `rows` of them."""

    times: StepTimes
    width: int
    rows: int
    has_idle: bool

    def speed(self, demands: Sequence[Demand]) -> float:
        """Return the seconds of sound a second that so many get together."""
        rates = [each.rate for each in demands if each.is_paced]
        rows = max(1, min(len(demands), self.times.widest(rates, self.width)))
        idle = IDLE_SHARE if self.has_idle else 0.0
        return rows * self.times.step_s / self.times.turn_s(rows) * MARGIN * (1.0 - idle)


def fits(demands: Sequence[Demand], capacity: Capacity) -> bool:
    """Tell whether all these demands can be met in time. A newcomer alone always fits."""
    if len(demands) <= 1 or not capacity.times.is_known:
        return True
    if sum(each.is_paced for each in demands) > capacity.rows:
        return False  # a row stays for its whole segment, so another would have none for too long
    speed = capacity.speed(demands)
    # The demand grows fastest before one of these moments, so only there it can be too much.
    moments = {each.from_s for each in demands} | {each.to_s for each in demands}
    return all(sum(each.until(at) for each in demands) <= speed * at + _FREE_S for at in moments)


_FREE_S = 0.05
"""A moment ahead, everything is late: less than a step's sound is no gap."""


_SOON_S = (0.25, 0.5, 1.0, 2.0, 4.0)


def fits_in_s(newcomer: Demand, others: Iterable[Demand], capacity: Capacity) -> float:
    """Return 0 if the newcomer fits now, else after how long it will, if no other comes."""
    present = list(others)
    if fits([newcomer, *present], capacity):
        return 0.0
    speed = capacity.speed(present)
    rate = sum(each.rate for each in present)
    # Until then each gets its part of the speed, so they end in the order of what they want at their rates.
    ends = [each.left_s / each.rate * rate / speed for each in present]
    all_end_s = max(ends)
    # In a burst, others soon have their first pieces.
    moments = sorted([*ends, *(each for each in _SOON_S if each < all_end_s)])
    # The longer it waits, the better it fits.
    first = bisect_left(
        moments[:-1], True, key=lambda at: fits([newcomer, *_after(present, at, speed, rate)], capacity)
    )
    return moments[first]


def _after(demands: Sequence[Demand], later_s: float, speed: float, rate: float) -> list[Demand]:
    after = []
    for each in demands:
        made_s = later_s * each.rate * speed / rate
        left_s = each.left_s - made_s
        if left_s > 1e-9:
            from_s = max(0.0, each.from_s + made_s / each.rate - later_s)
            after.append(Demand(from_s, left_s, each.rate, each.is_paced))
    return after


REMEMBERED_S = 600.0
"""A part's job comes while the one before it plays, and a client may read slowly."""


class AdmittedAnswers:
    """The answers that were let in while more of their parts were expected. What follows a part was counted
    with it, so the next part is no newcomer."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def __repr__(self) -> str:
        return f"<AdmittedAnswers: {len(self._until)}>"

    def note(self, job: SpeechJob, now: float) -> None:
        """Note a part that begins. An answer ends here with the last part that is expected."""
        self._until = {key: until for key, until in self._until.items() if until > now}
        self._until.pop((job.tenant, job.id), None)
        if job.follows_s > 0.0:
            heard_s = job.plays_in_s + job.estimated_s / job.plays_rate
            self._until[job.tenant, job.id] = now + heard_s + REMEMBERED_S

    def goes_on(self, job: SpeechJob) -> bool:
        return (job.tenant, job.id) in self._until


def waits_s(
    job: SpeechJob,
    present: Iterable[tuple[str, Listener]],
    admitted: Iterable[SpeechJob],
    settings: BatchSettings,
    times: StepTimes,
    width: int,
    now: float,
) -> float:
    """Return 0 if a newcomer fits without a gap for any listener, else after how long it will.

    `present` are the jobs in the batch by their ids, and `admitted` those that have not come there yet.
    """
    newcomer = demand_of(listener_of(job, settings, now), now)
    if newcomer is None:
        return 0.0
    jobs = [*present, *((each.id, listener_of(each, settings, now)) for each in admitted)]
    last = dict(jobs)
    demands = [
        demand
        for id_, each in jobs
        if (demand := demand_of(each, now, is_last=last[id_] is each)) is not None
    ]
    has_idle = any(each.is_idle for _, each in jobs)
    return fits_in_s(newcomer, demands, Capacity(times, width, settings.rows, has_idle))
