"""When sound is made of what a row has: at once while its listener is short of it, else much at a time.

Only the rule, without a clock. A model gives less sound than it has steps for, since it must know what comes
next. So the first piece waits until it lasts as long as the steps to the next one.
"""

from __future__ import annotations

from typing import Protocol

from speech_engine.host.continuity import Row, due_at

PIECE_S = 0.8
"""To make sound of much at once is cheaper: each piece repeats some work at its edges."""

SOON_S = 1.0
"""A listener with less than this to hear gets smaller pieces, as soon as they can be made."""


class Stepped(Protocol):
    """A row of the model, with the seconds of sound that its steps since its last piece stand for."""

    unheard_s: float
    has_sounded: bool


class SteppedRow(Stepped, Row, Protocol):
    """A row to whose job somebody listens."""


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
