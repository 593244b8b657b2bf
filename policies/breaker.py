"""A circuit breaker: closed, open for a while, or half open with one try.

There is one for each key of each engine, so that a key without credit does not stop the others.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["well", "faulty", "refused"]
"""What an answer says of its provider. `faulty`: the provider failed. `refused`: it does not take our key or
our credit, and no second try mends that. A refusal of the request itself is `well`: the provider answered."""

FAULTS = 5
"""So many faults in a row open the breaker."""
FIRST_S = 5.0
LONGEST_S = 300.0


class Breaker(msgspec.Struct, frozen=True):
    """The state of one breaker. `faults` counts those in a row. It is open for `open_s` from `since`.

    While the breaker is half open, one try may be under way (`is_probing`). If `is_refused`, a refusal
    opened it, not faults.
    """

    faults: int = 0
    open_s: float = 0.0
    since: float = 0.0
    is_probing: bool = False
    is_refused: bool = False

    @property
    def is_closed(self) -> bool:
        return self.open_s == 0.0


CLOSED = Breaker()


def may_try(breaker: Breaker, now: float) -> bool:
    return breaker.is_closed or (now >= breaker.since + breaker.open_s and not breaker.is_probing)


def wait_s(breaker: Breaker, now: float) -> float:
    """Return how long until a request may try; 0 if one may try now."""
    return 0.0 if breaker.is_closed else max(0.0, breaker.since + breaker.open_s - now)


def start_try(breaker: Breaker) -> Breaker:
    """Note that a try begins. If the breaker is open, this try is the only one: the probe."""
    return breaker if breaker.is_closed else msgspec.structs.replace(breaker, is_probing=True)


def abandon_try(breaker: Breaker) -> Breaker:
    """Note that a try ended without an answer, because its client left."""
    return msgspec.structs.replace(breaker, is_probing=False) if breaker.is_probing else breaker


def end_try(breaker: Breaker, outcome: Outcome, now: float, *, is_probe: bool) -> Breaker:
    """Note the outcome of a try.

    While the breaker is open, only the probe counts. Otherwise twenty tries that fail together would double
    the time twenty times. A refusal always counts.
    """
    if not breaker.is_closed and not is_probe and (outcome != "refused" or breaker.is_refused):
        return breaker
    if outcome == "well":
        return CLOSED
    faults = breaker.faults + 1
    if outcome == "refused":
        return Breaker(faults, LONGEST_S, now, is_refused=True)
    if not breaker.is_closed:
        return Breaker(faults, min(LONGEST_S, breaker.open_s * 2), now)
    return Breaker(faults, FIRST_S, now) if faults >= FAULTS else Breaker(faults)


def end_other_call(breaker: Breaker, outcome: Outcome, now: float) -> Breaker:
    """Note the outcome of a call that was not for speech.

    A good answer ends faults, but says nothing about credit. A bad answer does not keep an open breaker open
    for longer.
    """
    if not breaker.is_closed:
        return CLOSED if outcome == "well" and not breaker.is_refused else breaker
    return breaker if outcome == "well" else end_try(breaker, outcome, now, is_probe=False)
