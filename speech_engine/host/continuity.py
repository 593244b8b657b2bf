"""Who hears what when, so that no listener's sound pauses: which rows the next step takes, and when sound is
made of what a row has.

Only the rules, without a clock: `now` is an argument. A listener's slack is the time until everything that
was made for it has played. Each step takes the rows of those who have the least. Sound is made at once
while a listener is short of it, else much at a time. A model gives less sound than it has steps for, since it
must know what comes next. So the first piece waits until it lasts as long as the steps to the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeVar

from speech_engine.host.step_times import StepTimes
from speech_engine.values import Urgency

Order = Literal["slack", "fifo"]

CUSHION_S = 2.0
"""The slack beyond which a listener yields to others. It covers a second's wait for the device, twice."""

WHOLE_S = 2.0
"""How much later a client needs an answer that it takes in one piece: it hears nothing before the end."""

CHEAP = 1.25
"""Rows not needed yet join a step only if it takes at most a quarter longer for those who need it."""

IDLE_SHARE = 0.03
"""The part of all places in steps that work without a waiting client gets in any case."""

REGROUP_STEPS = 4
"""Another group of rows costs a model copies of what it remembers, so a group stays for some steps."""


class Listener:
    """What the listener to one job has heard and will hear. `estimated_s` are the lengths of its segments."""

    def __init__(
        self,
        urgency: Urgency,
        asked_at: float,
        first_audio_s: float,
        estimated_s: Sequence[float],
        plays_in_s: float = 0.0,
        rate: float = 1.0,
        follows_s: float = 0.0,
    ) -> None:
        self.follows_s = follows_s
        self.urgency = urgency
        self.asked_at = asked_at
        self.rate = rate
        self.current = 0
        self.has_heard = False
        self.dry_s = 0.0
        self.plays_at = asked_at + plays_in_s + (WHOLE_S if urgency == "whole" else 0.0)
        self.begins_at = max(self.plays_at, asked_at + first_audio_s)
        self._estimated_s = estimated_s
        self._made_s = [0.0] * len(estimated_s)
        self._heard_s = 0.0
        self._left_s = sum(estimated_s)

    def __repr__(self) -> str:
        return f"<Listener, {self.urgency}, at segment {self.current} of {len(self._made_s)}>"

    @property
    def is_idle(self) -> bool:
        return self.urgency == "idle"

    @property
    def is_heard_as_it_comes(self) -> bool:
        return self.urgency in ("live", "ahead")

    def estimated_s(self, segment: int) -> float:
        return self._estimated_s[segment]

    @property
    def left_s(self) -> float:
        """The seconds that are still to be made, by estimate."""
        return max(0.0, self._left_s)

    def due_at(self, segment: int | None = None) -> float:
        """Return when all sound of a segment so far will have played, by default of the current one."""
        last = self.current if segment is None else segment
        before_s = self._heard_s
        for number in range(self.current, last):
            before_s += max(self._made_s[number], self._estimated_s[number])
        made_s = self._made_s[last] if last < len(self._made_s) else 0.0
        return self.begins_at + (before_s + made_s) / self.rate

    def note_sound(self, segment: int, seconds: float, now: float) -> None:
        """Note new sound. If the listener had nothing to hear for a while, its sound goes on from now."""
        if segment == self.current:
            if not self.has_heard:
                self.has_heard, self.begins_at = True, max(now, self.plays_at)
            elif (late_s := now - self.due_at()) > 0.0:
                self.begins_at += late_s
                self.dry_s += late_s if self.is_heard_as_it_comes else 0.0
        estimated_s, made_s = self._estimated_s[segment], self._made_s[segment]
        self._left_s -= max(0.0, min(seconds, estimated_s - made_s))
        self._made_s[segment] = made_s + seconds

    def note_over(self, segment: int, over: Sequence[bool]) -> None:
        """Note the end of a segment; `over` has all that have ended, with this one."""
        self._left_s -= max(0.0, self._estimated_s[segment] - self._made_s[segment])
        while self.current < len(over) and over[self.current]:
            self._heard_s += self._made_s[self.current]
            self.current += 1


class Row(Protocol):
    """A row in the model's memory."""

    @property
    def listener(self) -> Listener: ...

    @property
    def segment(self) -> int: ...


T = TypeVar("T", bound=Row)


def due_at(row: Row) -> float:
    return row.listener.due_at(row.segment)


class StepOrder:
    """The choice of rows for each step."""

    def __init__(self, order: Order, times: StepTimes) -> None:
        self._order = order
        self._times = times
        self._idle_places = 0.0
        self._seen: frozenset[tuple[Listener, int]] = frozenset()
        self._age = 0

    def choose(self, rows: Sequence[T], last: Sequence[T], width: int, now: float) -> list[T]:
        """Return the rows of the next step, out of those that can take one. `last` took the last step."""
        if self._order == "fifo":
            return list(rows[:width])
        # No ids: that of a row that left may be another one's.
        present = frozenset((row.listener, row.segment) for row in rows)
        self._age += 1
        if last and present == self._seen and self._age < REGROUP_STEPS and len(last) <= width:
            chosen = list(last)
        else:
            self._seen, self._age = present, 0
            chosen = self._by_slack(rows, width, now)
        self._count_idle(rows, chosen, width)
        return chosen

    def _by_slack(self, rows: Sequence[T], width: int, now: float) -> list[T]:
        waited = sorted((row for row in rows if not row.listener.is_idle), key=due_at)
        idle = sorted((row for row in rows if row.listener.is_idle), key=lambda row: row.listener.asked_at)
        needy = [row for row in waited if due_at(row) - now <= CUSHION_S]
        # In a wider step they would run dry, whatever it makes for all of them together.
        rates = (row.listener.rate for row in needy if row.listener.is_heard_as_it_comes)
        width = self._times.widest(rates, width)
        owed = idle[:1] if self._idle_places >= 1.0 else []
        chosen = (needy[: width - len(owed)] + owed)[:width]
        spare = waited[len(needy) :] + [row for row in idle if row not in owed]
        return chosen + spare[: self._spare_places(len(chosen), width, bool(needy))]

    def _spare_places(self, taken: int, width: int, has_needy: bool) -> int:
        if not has_needy or not self._times.is_known:
            return width - taken
        limit_s = self._times.seconds(taken) * CHEAP
        places = 0
        while taken + places < width and self._times.seconds(taken + places + 1) <= limit_s:
            places += 1
        return places

    def _count_idle(self, rows: Sequence[Row], chosen: Sequence[Row], width: int) -> None:
        """Idle rows that got no place are owed a part of one. What they are owed is never much."""
        if not any(row.listener.is_idle for row in rows):
            self._idle_places = 0.0
            return
        got = sum(row.listener.is_idle for row in chosen)
        self._idle_places = max(0.0, min(2.0, self._idle_places + IDLE_SHARE * width - got))


PIECE_S = 0.8
"""To make sound of much at once is cheaper: each piece repeats some work at its edges."""

SOON_S = 1.0
"""A listener with less than this to hear gets smaller pieces, as soon as they can be made."""


class Stepped(Protocol):
    """A row of the model, with the seconds of sound that its steps since its last piece stand for."""

    unheard_s: float
    has_sounded: bool


class SteppedRow(Stepped, Row, Protocol):
    """A row whose job has a listener."""


class SoundPieces:
    """The rule, and what it learns of a model: what a first piece lacks, and how soon the next one comes."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._lacks_s = 0.0
        self._next_s: float | None = None

    def __repr__(self) -> str:
        return f"<SoundPieces: the first lacks {self._lacks_s:.2f} s, the next after {self._next_s} s>"

    def wants(self, row: SteppedRow, turn_s: float, now: float) -> bool:
        """Tell whether to make sound of a row that has enough for the smallest piece.

        From one step to the next it is `turn_s`.
        """
        if row.unheard_s >= PIECE_S:
            return True
        listener = row.listener
        if not listener.is_heard_as_it_comes:
            return False
        if row.segment != listener.current or listener.has_heard:
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
