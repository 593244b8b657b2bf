"""The order of steps and pieces, so that no listener's sound pauses: the rows of the next step, and the
moment when sound is made of a row.

These are only the rules, without a clock: `now` is an argument. A listener's slack is the time until all of
its sound has played, less the steps that a row still needs before its sound is heard. Each step takes the
rows of the listeners with the least slack. Sound is made at once while a listener is short of it, else much
at a time. A model gives less sound than it has steps for, since it must know the next sound. So the first
piece waits until it lasts as long as the steps to the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from speech_engine.host.batch_model import BatchSettings, Order, RowWork
from speech_engine.host.step_times import StepTimes
from speech_engine.values import SpeechJob, Urgency

CUSHION_S = 2.0
"""A listener with more slack yields to others. It covers a second's wait for the device, twice."""

STEPS_CUSHION_S = 1.0
"""The same for a row that is heard after its steps: their time is in its slack already."""

WHOLE_S = 2.0
"""The later need of a client that takes its answer in one piece: it hears the first sound at the end."""

CHEAP_RATIO = 1.25
"""Rows not needed yet join a step only if it takes at most a quarter longer for the others."""

IDLE_SHARE = 0.03
"""The part of all places in steps that work without a waiting client gets in any case."""

REGROUP_STEPS = 4
"""A new group of rows costs a model copies of its memory of them, so a group stays for some steps."""


class Listener:
    """The past and future sound of the listener to one job. `works` are of its segments. It hears `rate`
    seconds of sound a second. The `current` segment plays now. `dry_s` is the length of all pauses so far.
    After the job, `follows_s` seconds more are expected under the same id."""

    def __init__(
        self,
        urgency: Urgency,
        requested_at: float,
        first_audio_s: float,
        works: Sequence[RowWork],
        plays_in_s: float = 0.0,
        rate: float = 1.0,
        follows_s: float = 0.0,
    ) -> None:
        self.follows_s = follows_s
        self.urgency = urgency
        self.requested_at = requested_at
        self.rate = rate
        self.current = 0
        self.has_played = False
        self.dry_s = 0.0
        self.plays_at = requested_at + plays_in_s + (WHOLE_S if urgency == "whole" else 0.0)
        self.begins_at = max(self.plays_at, requested_at + first_audio_s)
        self._works = list(works)
        self._steps_left = [work.steps for work in works]
        self._made_s = [0.0] * len(works)
        self._is_over = [False] * len(works)
        self._played_s = 0.0
        self._left_s = sum(work.seconds for work in works)

    @property
    def has_whole_rows(self) -> bool:
        return any(work.steps for work in self._works)

    @property
    def is_idle(self) -> bool:
        return self.urgency == "idle"

    @property
    def is_played_as_it_comes(self) -> bool:
        return self.urgency in ("live", "ahead")

    def work(self, segment: int) -> RowWork:
        return self._works[segment]

    def steps_left(self, segment: int) -> int:
        """Return how many steps a segment takes until it is heard; 0 if it flows."""
        return self._steps_left[segment]

    def unmade(self) -> Iterator[tuple[float, RowWork, int]]:
        """Yield the segments that are not over, with their due times and the steps that they still take."""
        due_at = self.begins_at + self._played_s / self.rate
        for number in range(self.current, len(self._works)):
            work = self._works[number]
            if not self._is_over[number]:
                yield due_at, work, self._steps_left[number]
            due_at += max(self._made_s[number], work.seconds) / self.rate

    @property
    def left_s(self) -> float:
        """The seconds that are still to be made, by estimate."""
        return max(0.0, self._left_s)

    def due_at(self, segment: int | None = None) -> float:
        """Return when all sound of a segment so far will have played, by default of the current one."""
        last = self.current if segment is None else segment
        before_s = self._played_s
        for number in range(self.current, last):
            before_s += max(self._made_s[number], self._works[number].seconds)
        made_s = self._made_s[last] if last < len(self._made_s) else 0.0
        return self.begins_at + (before_s + made_s) / self.rate

    def expect(self, segment: int, work: RowWork) -> None:
        """Note the work of a future segment. It may be a new one."""
        if segment == len(self._works):
            self._works.append(work)
            self._steps_left.append(work.steps)
            self._made_s.append(0.0)
            self._is_over.append(False)
            self._left_s += work.seconds
        else:
            self.note_work(segment, work)

    def end_at(self, segments: int) -> None:
        """Note that only so many segments will come."""
        self._left_s -= sum(work.seconds for work in self._works[segments:])
        for each in (self._works, self._steps_left, self._made_s, self._is_over):
            del each[segments:]

    def note_work(self, segment: int, work: RowWork) -> None:
        self._left_s += work.seconds - self._works[segment].seconds
        self._works[segment], self._steps_left[segment] = work, work.steps

    def note_step(self, segment: int) -> None:
        if self._steps_left[segment] > 1:
            self._steps_left[segment] -= 1

    def note_sound(self, segment: int, seconds: float, now: float) -> None:
        """Note new sound. If the listener's sound had run out, it goes on from now."""
        if segment == self.current:
            if not self.has_played:
                self.has_played, self.begins_at = True, max(now, self.plays_at)
            elif (late_s := now - self.due_at()) > 0.0:
                self.begins_at += late_s
                self.dry_s += late_s if self.is_played_as_it_comes else 0.0
        estimated_s, made_s = self._works[segment].seconds, self._made_s[segment]
        self._left_s -= max(0.0, min(seconds, estimated_s - made_s))
        self._made_s[segment] = made_s + seconds

    def note_over(self, segment: int, over: Sequence[bool]) -> None:
        """Note the end of a segment. `over` tells for each segment of the job whether it has ended."""
        self._left_s -= max(0.0, self._works[segment].seconds - self._made_s[segment])
        self._is_over[segment] = True
        while self.current < len(over) and over[self.current]:
            self._played_s += self._made_s[self.current]
            self.current += 1


def listener_of(
    job: SpeechJob, settings: BatchSettings, now: float, works: Sequence[RowWork] | None = None
) -> Listener:
    """Return the listener to a job that comes now. By default its segments are as long as their texts say."""
    if works is None:
        characters = sum(len(segment.spoken) for segment in job.segments) or 1
        second_a_character = job.estimated_s / characters
        works = [RowWork(len(segment.spoken) * second_a_character) for segment in job.segments]
    return Listener(
        job.urgency, now, settings.first_audio_s, works, job.plays_in_s, job.plays_rate, job.follows_s
    )


class Row(Protocol):
    @property
    def listener(self) -> Listener: ...

    @property
    def segment(self) -> int: ...


T = TypeVar("T", bound=Row)


def due_at(row: Row) -> float:
    return row.listener.due_at(row.segment)


def weight_of(rows: Iterable[Row]) -> float:
    return sum(row.listener.work(row.segment).weight for row in rows)


class StepOrder:
    """The choice of rows for each step. Idle rows may claim `_idle_weight` of its width."""

    def __init__(self, order: Order, times: StepTimes) -> None:
        self._order = order
        self._times = times
        self._idle_weight = 0.0
        # The rows when a group was last chosen. It has no ids: a new row may get the id of an old one.
        self._seen: frozenset[tuple[Listener, int]] = frozenset()
        self._group_steps = 0

    def choose(self, rows: Sequence[T], last: Sequence[T], width: float, now: float) -> list[T]:
        """Return the rows of the next step, out of the rows that can step. Together they weigh `width` at
        most, unless the first row alone weighs more. `last` took the last step."""
        if self._order == "fifo":
            return _fitting(rows, width)
        present = frozenset((row.listener, row.segment) for row in rows)
        self._group_steps += 1
        is_alike = present == self._seen and self._group_steps < REGROUP_STEPS
        if last and is_alike and (len(last) == 1 or weight_of(last) <= width):
            chosen = list(last)
        else:
            self._seen, self._group_steps = present, 0
            chosen = self._by_slack(rows, width, now)
        self._count_idle(rows, chosen, width)
        return chosen

    def begins_by(self, row: Row, width: float) -> float:
        """Return when a row must take its next step, in company, so that its listener does not run dry."""
        steps = row.listener.steps_left(row.segment)
        return due_at(row) - (steps * self._times.turn_s(width) if steps else 0.0)

    def _by_slack(self, rows: Sequence[T], width: float, now: float) -> list[T]:
        begins = {id(row): self.begins_by(row, width) for row in rows}
        waited = sorted((row for row in rows if not row.listener.is_idle), key=lambda row: begins[id(row)])
        idle = sorted(
            (row for row in rows if row.listener.is_idle), key=lambda row: row.listener.requested_at
        )
        needy = [row for row in waited if begins[id(row)] - now <= _cushion_s(row)]
        # In a wider step they would run dry, however much sound it makes in all.
        flowing = (row for row in needy if not row.listener.steps_left(row.segment))
        rates = (row.listener.rate for row in flowing if row.listener.is_played_as_it_comes)
        width = self._times.widest(rates, width)
        due_first = idle[:1] if idle and self._idle_weight >= weight_of(idle[:1]) else []
        chosen = _fitting(needy, width - weight_of(due_first)) if width > weight_of(due_first) else []
        chosen += due_first
        spare = waited[len(needy) :] + [row for row in idle if row not in due_first]
        return self._with_spare(chosen, spare, width, bool(needy))

    def _with_spare(self, chosen: list[T], spare: Sequence[T], width: float, has_needy: bool) -> list[T]:
        """Add spare rows: all that fit if none is needy, else those that make the step hardly longer."""
        if not has_needy or not self._times.is_known:
            return _fitting([*chosen, *spare], width)
        weight = weight_of(chosen)
        limit_s = self._times.seconds(weight) * CHEAP_RATIO
        for row in spare:
            heavier = weight + weight_of([row])
            if heavier <= width and self._times.seconds(heavier) <= limit_s:
                chosen, weight = [*chosen, row], heavier
        return chosen

    def _count_idle(self, rows: Sequence[Row], chosen: Sequence[Row], width: float) -> None:
        """Idle rows that got no place get a part of one later. That part is never large."""
        idle = [row for row in rows if row.listener.is_idle]
        if not idle:
            self._idle_weight = 0.0
            return
        got = weight_of(row for row in chosen if row.listener.is_idle)
        most = 2.0 * max(weight_of([row]) for row in idle)
        self._idle_weight = max(0.0, min(most, self._idle_weight + IDLE_SHARE * width - got))


def _cushion_s(row: Row) -> float:
    return STEPS_CUSHION_S if row.listener.steps_left(row.segment) else CUSHION_S


def _fitting(rows: Iterable[T], width: float) -> list[T]:
    """Return the rows that fit into the width, in their order. The first row is taken in any case."""
    chosen: list[T] = []
    weight = 0.0
    for row in rows:
        heavier = weight + weight_of([row])
        if not chosen or heavier <= width:
            chosen, weight = [*chosen, row], heavier
    return chosen


PIECE_S = 0.8
"""To make sound of much at once is cheaper: each piece repeats some work at its edges."""

SOON_S = 1.0
"""A listener with less sound than this gets smaller pieces, as soon as they can be made."""


class Stepped(Protocol):
    """A row of the model, with the seconds of sound that its steps since its last piece stand for."""

    unheard_s: float
    has_sounded: bool


class SteppedRow(Stepped, Row, Protocol):
    """A row whose job has a listener."""


class SoundPieces:
    """The rule, and its measurements of a model: the lack of a first piece, and the time to the next one."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._lacks_s = 0.0
        self._next_s: float | None = None

    def wants(self, row: SteppedRow, turn_s: float, now: float) -> bool:
        """Tell whether to make sound of a row that has enough for the smallest piece.

        From one step to the next it is `turn_s`.
        """
        if row.unheard_s >= PIECE_S:
            return True
        listener = row.listener
        if not listener.is_played_as_it_comes:
            return False
        if row.segment != listener.current or listener.has_played:
            return due_at(row) - now < SOON_S
        next_in_s = (self._next_s or 0.0) / self._step_s * turn_s
        return row.unheard_s - self._lacks_s >= next_in_s * listener.rate

    def note(self, row: Stepped, seconds: float) -> None:
        """Note a piece of a row that goes on."""
        if not row.has_sounded:
            self._lacks_s = max(self._lacks_s, row.unheard_s - seconds)
        elif self._next_s is None or row.unheard_s < self._next_s:
            self._next_s = row.unheard_s
        row.has_sounded, row.unheard_s = True, 0.0
