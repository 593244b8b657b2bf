"""Admits a listener only if no sound will pause, by the measured times of steps: first the rule, then
the jobs as they come to it.

There is no clock here. Each listener is a demand for sound over time: none until its slack is over, then a
steady flow until its text ends, or whole segments. A second of a whole segment counts as the sound of flowing
rows at the same cost. The device makes sound at one rate for all together. If all demands up to any moment
fit into the sound that is made until then, no listener runs dry, since the least slack goes first. Only steps
count that are quick enough for each row in them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from speech_engine.host.batch_model import BatchSettings
from speech_engine.host.continuity import IDLE_SHARE, Listener
from speech_engine.host.step_times import MARGIN, StepTimes
from speech_engine.values import SpeechJob

LEAST_PIECE_S = 0.4
"""Sound comes in pieces: this much is made before any of it plays."""

_LEAST_ROW_S = 0.05
"""A shorter row tells nothing about those to come: a plugin may state rows without sound."""

LEAST_LEFT_S = 0.5
"""A text that is longer than its estimate may go on for as much again."""


class WholePiece(NamedTuple):
    """A segment that is heard as a whole: all of it is due `from_s` from now."""

    from_s: float
    left_s: float


class Demand(NamedTuple):
    """The demand of a listener: `left_s` seconds in all, a first piece at `from_s`, and then `rate` a second.

    If it `is_paced`, a listener hears it as it comes. Whole segments are in `pieces`: all of them may be in
    one step, with their `weight`."""

    from_s: float
    left_s: float
    rate: float
    is_paced: bool = True
    pieces: tuple[WholePiece, ...] = ()
    weight: float = 1.0

    @property
    def to_s(self) -> float:
        return self.from_s + max(0.0, self.left_s - LEAST_PIECE_S) / self.rate

    def due_until(self, at_s: float) -> float:
        if at_s < self.from_s:
            return 0.0
        return min(self.left_s, LEAST_PIECE_S + (at_s - self.from_s) * self.rate)

    def remaining(self, later_s: float, made_s: float) -> Demand | None:
        """Return the demand that is left later, when so much was made; None if that was all."""
        left_s = self.left_s - made_s
        if left_s <= 1e-9:
            return None
        if not self.pieces:
            return self._replace(from_s=max(0.0, self.from_s + made_s / self.rate - later_s), left_s=left_s)
        pieces = []
        for piece in self.pieces:
            taken_s = min(made_s, piece.left_s)
            made_s -= taken_s
            if taken_s < piece.left_s:
                pieces.append(WholePiece(max(0.0, piece.from_s - later_s), piece.left_s - taken_s))
        return self._replace(from_s=pieces[0].from_s, left_s=left_s, pieces=tuple(pieces))


class Capacity(NamedTuple):
    """The capacity of the device in steps of a weight of `width` at most, with memory for so many `rows`."""

    times: StepTimes
    width: float
    rows: int
    has_idle: bool

    @property
    def turn_s(self) -> float:
        """The time of a full step."""
        return self.times.turn_s(self.width)

    def speed(self, demands: Sequence[Demand]) -> float:
        """Return the seconds of sound a second that so many get together."""
        rates = [each.rate for each in demands if each.is_paced and not each.pieces]
        weight = max(1, min(sum(each.weight for each in demands), self.times.widest(rates, self.width)))
        idle = IDLE_SHARE if self.has_idle else 0.0
        return weight * self.times.step_s / self.times.turn_s(weight) * MARGIN * (1.0 - idle)


def demand_of(listener: Listener, now: float, capacity: Capacity, *, is_last: bool = True) -> Demand | None:
    """Return the demand of a listener; None for work without a listener, or when all is made.

    The parts after a job are counted with the last job of the same answer, and so only once.
    """
    if listener.is_idle:
        return None
    follows_s = listener.follows_s if is_last else 0.0
    if listener.has_whole_rows:
        return _in_pieces(listener, now, capacity, follows_s)
    left_s = max(LEAST_LEFT_S, listener.left_s) + follows_s
    return Demand(max(0.0, listener.due_at() - now), left_s, listener.rate, listener.is_played_as_it_comes)


def _in_pieces(listener: Listener, now: float, capacity: Capacity, follows_s: float) -> Demand | None:
    unmade = list(listener.unmade())
    seconds = sum(work.seconds for _, work, _ in unmade)
    if seconds <= 0.0:
        return None
    step_s = capacity.times.step_s
    weight = sum(work.weight for _, work, _ in unmade)
    rate = listener.rate * sum(work.worth_s(step_s) for _, work, _ in unmade) / seconds
    # The parts to come are assumed to be like this job's last segment.
    if with_sound := [each for each in unmade if each[1].seconds >= _LEAST_ROW_S]:
        due_at, last, _ = with_sound[-1]
        while follows_s > 0.0:
            due_at += last.seconds / listener.rate
            unmade.append((due_at, last, last.steps))
            follows_s -= last.seconds
    pieces = []
    for due_at, work, steps in unmade:
        due_s = due_at - now
        # All rows of a step go on together: a piece that is due at once must have begun long before.
        begins_s = max(due_s - work.steps * capacity.turn_s, min(due_s, steps * capacity.turn_s))
        pieces.append(WholePiece(max(0.0, begins_s), work._replace(steps=steps).worth_s(step_s)))
    left_s = sum(piece.left_s for piece in pieces)
    if left_s <= 0.0:
        return None
    return Demand(pieces[0].from_s, left_s, rate, listener.is_played_as_it_comes, tuple(pieces), weight)


_FREE_S = 0.05
"""A moment ahead, everything is late: less than a step's sound is no gap."""


def fits(demands: Sequence[Demand], capacity: Capacity) -> bool:
    """Tell whether all these demands can be met in time. A newcomer alone always fits."""
    if len(demands) <= 1 or not capacity.times.is_known:
        return True
    if sum(each.is_paced for each in demands) > capacity.rows:
        return False  # a row stays for its whole segment, so another would have none for too long
    speed = capacity.speed(demands)
    flowing = [each for each in demands if not each.pieces]
    pieces = sorted(piece for each in demands for piece in each.pieces)
    due = [piece.from_s for piece in pieces]
    wanted = [0.0, *accumulate(piece.left_s for piece in pieces)]
    # The demand grows fastest before one of these moments, so only there it can be too much.
    moments = {each.from_s for each in flowing} | {each.to_s for each in flowing} | {*due}
    return all(
        sum(each.due_until(at) for each in flowing) + wanted[bisect_right(due, at)] <= speed * at + _FREE_S
        for at in moments
    )


_SOON_S = (0.25, 0.5, 1.0, 2.0, 4.0)


def fits_in_s(newcomer: Demand, others: Iterable[Demand], capacity: Capacity) -> float:
    """Return 0 if the newcomer fits now, else the time until it fits, if no other comes."""
    present = list(others)
    if fits([newcomer, *present], capacity):
        return 0.0
    speed = capacity.speed(present)
    rate = sum(each.rate for each in present)
    # Until then each gets its part of the speed, so they end in the order of demand over rate.
    ends = [each.left_s / each.rate * rate / speed for each in present]
    all_end_s = max(ends)
    # Besides, try these moments soon: in a burst, others soon have their first pieces.
    moments = sorted([*ends, *(each for each in _SOON_S if each < all_end_s)])
    # The longer it waits, the better it fits, so the first moment at which it does is found by halving.
    first = bisect_left(
        moments[:-1], True, key=lambda at: fits([newcomer, *_after(present, at, speed, rate)], capacity)
    )
    return moments[first]


def _after(demands: Sequence[Demand], later_s: float, speed: float, rate: float) -> list[Demand]:
    after = (each.remaining(later_s, later_s * each.rate * speed / rate) for each in demands)
    return [each for each in after if each is not None]


REMEMBERED_S = 600.0
"""A part's job comes while the one before it plays, and a client may read slowly."""


class AdmittedAnswers:
    """The admitted answers that have more parts to come. Those parts were counted with the first one, so the
    next part is no newcomer."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}

    def __repr__(self) -> str:
        return f"<AdmittedAnswers: {len(self._until)}>"

    def note(self, job: SpeechJob, now: float) -> None:
        """Note a part that begins. An answer ends here with the last part that is expected."""
        self._until = {key: until for key, until in self._until.items() if until > now}
        self._until.pop((job.tenant, job.id), None)
        if job.follows_s > 0.0:
            played_s = job.plays_in_s + job.estimated_s / job.plays_rate
            self._until[job.tenant, job.id] = now + played_s + REMEMBERED_S

    def goes_on(self, job: SpeechJob) -> bool:
        return (job.tenant, job.id) in self._until


def waits_s(
    newcomer: Listener,
    others: Sequence[tuple[str, Listener]],
    settings: BatchSettings,
    times: StepTimes,
    width: float,
    now: float,
) -> float:
    """Return 0 if a newcomer fits without a gap for any listener, else the time until it fits.

    `others` are the listeners in the batch, or on the way there, by the ids of their jobs.
    """
    capacity = Capacity(times, width, settings.rows, any(each.is_idle for _, each in others))
    wanted = demand_of(newcomer, now, capacity)
    if wanted is None:
        return 0.0
    last = dict(others)
    demands = [
        demand
        for id_, each in others
        if (demand := demand_of(each, now, capacity, is_last=last[id_] is each)) is not None
    ]
    return fits_in_s(wanted, demands, capacity)
